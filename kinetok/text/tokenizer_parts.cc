#include "kinetok/text/tokenizer_parts.h"

#include <fmt/format.h>

#include <algorithm>

#include "kinetok/text/word_cache.h"

namespace kinetok {

void TokenizerParts::Encode(std::string_view text, bool parse_special, std::vector<int32_t>& ids) const {
  WordCache cache;
  const auto encode_word = [&](std::string_view word, size_t offset) {
    if (!model->WordsRepeat() || word.size() > WordCache::kMaxWordBytes) {
      model->Encode(word, offset, ids);
      return;
    }
    const size_t first = ids.size();
    if (const WordCache::Stretch* known = cache.Find(word)) {
      ids.resize(first + known->size);
      std::copy_n(ids.begin() + static_cast<ptrdiff_t>(known->begin), known->size,
                  ids.begin() + static_cast<ptrdiff_t>(first));
      return;
    }
    model->Encode(word, offset, ids);
    cache.Add(word, {first, ids.size() - first});
  };
  const auto encode_part = [&](std::string_view part, size_t offset, bool at_start) {
    const char* const begin = part.data();
    pre_tokenizer.Split(part, at_start, [&](std::string_view word) {
      // Where the word lies, as long as it lies in the text itself.
      const bool inside = std::less_equal<>()(begin, word.data()) && std::less<>()(word.data(), begin + part.size());
      encode_word(word, inside && normalizer.empty() ? offset + static_cast<size_t>(word.data() - begin) : offset);
    });
  };
  const auto push_or = [&](int32_t id, const auto& encode) {
    if (id >= 0) {
      ids.push_back(id);
    } else {
      encode();
    }
  };
  added.Split(text, parse_special, [&](std::string_view part, int32_t id) {
    const auto offset = static_cast<size_t>(part.data() - text.data());
    push_or(id, [&] {
      const std::string normalized = normalizer.empty() ? std::string() : normalizer.Apply(part);
      const std::string_view rest = normalizer.empty() ? part : std::string_view(normalized);
      added.SplitNormalized(rest, parse_special, [&](std::string_view inner, int32_t inner_id) {
        const auto inner_offset = static_cast<size_t>(inner.data() - rest.data());
        push_or(inner_id, [&] {
          encode_part(inner, normalizer.empty() ? offset + inner_offset : offset, offset + inner_offset == 0);
        });
      });
    });
  });
}

std::optional<int32_t> FindToken(const TokenizerParts& parts, std::string_view piece) {
  if (const AddedToken* added = parts.added.Find(piece)) return added->id;
  return parts.model->vocabulary().Find(piece);
}

void NameEnds(TokenizerParts& parts) {
  const auto end_of_text = FindToken(parts, "<|endoftext|>");
  const auto start = FindToken(parts, "<s>"), end = FindToken(parts, "</s>");
  if (!parts.special.bos) parts.special.bos = start ? start : end_of_text;
  if (!parts.special.eos) parts.special.eos = end ? end : end_of_text;
}

void NameOthers(TokenizerParts& parts) {
  const auto name = [&](std::optional<int32_t>& id, std::initializer_list<std::string_view> pieces) {
    for (const std::string_view piece : pieces) {
      if (!id) id = FindToken(parts, piece);
    }
  };
  if (!parts.special.unk) parts.special.unk = parts.model->unk_id();
  name(parts.special.cls, {"[CLS]"});
  name(parts.special.sep, {"[SEP]"});
  name(parts.special.pad, {"[PAD]", "<pad>", "<PAD>"});
  name(parts.special.mask, {"[MASK]", "<mask>"});
}

std::string BytePiece(char byte) {
  return fmt::format("<0x{:02X}>", static_cast<uint8_t>(byte));
}

}  // namespace kinetok
