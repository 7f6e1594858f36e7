#include "kinetok/text/bpe.h"

#include <algorithm>
#include <limits>

#include "kinetok/base/error.h"
#include "kinetok/text/byte_alphabet.h"
#include "kinetok/text/pre_tokenizer.h"
#include "kinetok/text/utf8.h"

namespace kinetok {

Bpe::Bpe(Vocabulary pieces, const Merges& merges, BpeOptions options, std::string_view source)
    : TokenizerModel(std::move(pieces)), options_(std::move(options)), table_(merges.size()) {
  for (size_t b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    const std::string piece = options_.byte_level ? WriteBytes(std::string_view(&byte, 1)) : BytePiece(byte);
    byte_ids_[b] = vocabulary().Find(piece).value_or(-1);
  }
  if (!options_.unk_token.empty()) {
    unk_ = vocabulary().Find(options_.unk_token).value_or(-1);
    if (unk_ < 0 && !options_.byte_level) {
      Fail("{}: field \"unk_token\" is \"{}\", which the vocabulary lacks", source, options_.unk_token);
    }
  }
  if (merges.size() >= static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    Fail("{}: {} merges are too many", source, merges.size());
  }
  merges_.reserve(merges.size());
  for (const auto& merge : merges) {
    const std::string &left = merge.first, &right = merge.second;
    const size_t rank = merges_.size();
    const auto find = [&](const std::string& piece) {
      const auto id = vocabulary().Find(piece);
      if (!id) {
        Fail("{}: merge {} (\"{}\" + \"{}\") needs the piece \"{}\", which the vocabulary lacks", source, rank, left,
             right, piece);
      }
      return *id;
    };
    const std::pair<int32_t, int32_t> pair(find(left), find(right));
    if (!right.starts_with(options_.prefix)) {
      Fail("{}: merge {} (\"{}\" + \"{}\"): the second piece lacks the prefix \"{}\"", source, rank, left, right,
           options_.prefix);
    }
    const int32_t id = find(left + right.substr(options_.prefix.size()));
    table_.Set(pair.first, pair.second, {static_cast<int32_t>(rank), id});  // the last one counts, as in Hugging Face
    merges_.push_back(pair);
  }
}

bool Bpe::HasAllBytes() const {
  return std::ranges::count(byte_ids_, -1) == 0;
}

bool Bpe::MayCutBeforeSpaces() const {
  if (options_.byte_level || options_.ignore_merges || !options_.prefix.empty() || !options_.suffix.empty() ||
      !vocabulary().Find(kMetaspace)) {
    return false;
  }
  return std::ranges::none_of(merges_, [&](const auto& merge) {
    return !vocabulary().Piece(merge.first).ends_with(kMetaspace) &&
           vocabulary().Piece(merge.second).starts_with(kMetaspace);
  });
}

void Bpe::Encode(std::string_view word, size_t offset, std::vector<int32_t>& ids) const {
  if (options_.ignore_merges) {
    const auto id = vocabulary().Find(options_.byte_level ? WriteBytes(word) : std::string(word));
    if (id) {
      ids.push_back(*id);
      return;
    }
  }
  const size_t first = ids.size();
  if (options_.byte_level) {
    EncodeBytes(word, offset, ids);
  } else {
    EncodeCharacters(word, offset, ids);
  }
  table_.Apply(ids, first);
}

void Bpe::EncodeBytes(std::string_view word, size_t offset, std::vector<int32_t>& ids) const {
  for (size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<uint8_t>(word[i]);
    if (byte_ids_[byte] < 0) {
      Fail("byte {} of the text (0x{:02X}) has no piece in the vocabulary", offset + i, byte);
    }
    ids.push_back(byte_ids_[byte]);
  }
}

int32_t Bpe::CharacterId(std::string_view character, bool first, bool last) const {
  const bool prefixed = !first && !options_.prefix.empty(), suffixed = last && !options_.suffix.empty();
  if (!prefixed && !suffixed) return vocabulary().Find(character).value_or(-1);
  std::string piece(prefixed ? options_.prefix : "");
  piece += character;
  if (suffixed) piece += options_.suffix;
  return vocabulary().Find(piece).value_or(-1);
}

void Bpe::EncodeCharacters(std::string_view word, size_t offset, std::vector<int32_t>& ids) const {
  bool unknown = false;  // an unknown token waits for what it may be fused with
  for (size_t i = 0; i < word.size();) {
    const size_t begin = i;
    NextCodePoint(word, i);
    const std::string_view character = word.substr(begin, i - begin);
    const bool last = i == word.size();
    const int32_t id = CharacterId(character, begin == 0, last);
    if (id >= 0) {
      if (std::exchange(unknown, false)) ids.push_back(unk_);
      ids.push_back(id);
      continue;
    }
    if (options_.byte_fallback) {
      // With the prefix and the suffix, as Hugging Face has it.
      const std::string bytes =
          (begin == 0 ? "" : options_.prefix) + std::string(character) + (last ? options_.suffix : "");
      const auto byte_id = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)]; };
      if (std::ranges::all_of(bytes, [&](char c) { return byte_id(c) >= 0; })) {
        for (const char c : bytes) ids.push_back(byte_id(c));
        continue;
      }
    }
    if (unk_ < 0) {
      Fail("character \"{}\" near byte {} of the text is not in the vocabulary, which has no unknown token", character,
           offset + begin);
    }
    if (unknown && !options_.fuse_unk) ids.push_back(unk_);
    unknown = true;
  }
  if (unknown) ids.push_back(unk_);
}

Bpe::Merges Bpe::merges() const {
  Merges merges;
  for (size_t rank = 0; rank < merges_.size(); ++rank) {
    const auto [left, right] = merges_[rank];
    if (table_.Find(left, right)->rank != static_cast<int32_t>(rank)) continue;
    merges.emplace_back(vocabulary().Piece(left), vocabulary().Piece(right));
  }
  return merges;
}

OrderedJson Bpe::Describe() const {
  const auto text = [](const std::string& value) { return value.empty() ? OrderedJson() : OrderedJson(value); };
  OrderedJson model = {{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", text(options_.unk_token)},
                       {"continuing_subword_prefix", text(options_.prefix)},
                       {"end_of_word_suffix", text(options_.suffix)},
                       {"fuse_unk", options_.fuse_unk},
                       {"byte_fallback", options_.byte_fallback},
                       {"ignore_merges", options_.ignore_merges}};
  model["vocab"] = DescribeVocabulary(vocabulary());
  model["merges"] = OrderedJson::array();
  for (auto& [left, right] : merges()) model["merges"].push_back(OrderedJson::array({left, right}));
  return model;
}

}  // namespace kinetok
