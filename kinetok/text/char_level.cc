#include "kinetok/text/char_level.h"

#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/text/utf8.h"

namespace kinetok {

Json CharacterSplit() {
  return {{"type", "Split"}, {"pattern", {{"Regex", "[\\s\\S]"}}}, {"behavior", "Isolated"}, {"invert", false}};
}

Json FuseDecoder() {
  return {{"type", "Fuse"}};
}

CharLevel::CharLevel(Vocabulary pieces, std::string unknown)
    : TokenizerModel(std::move(pieces)),
      unknown_(std::move(unknown)),
      unknown_id_(vocabulary().Find(unknown_).value_or(-1)) {
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    if (!vocabulary().Has(id) || vocabulary().Piece(id).empty()) continue;
    const std::string& piece = vocabulary().Piece(id);
    size_t end = 0;
    const char32_t c = NextCodePoint(piece, end);
    if (end != piece.size()) continue;  // a longer piece is never met in a text
    if (c >= ids_.size()) ids_.resize(c + 1, -1);
    ids_[c] = id;
  }
}

void CharLevel::Encode(std::string_view word, size_t offset, std::vector<int32_t>& ids) const {
  for (size_t i = 0; i < word.size();) {
    const size_t begin = i;
    const char32_t c = NextCodePoint(word, i);
    int32_t id = c < ids_.size() ? ids_[c] : -1;
    if (id < 0) id = unknown_id_;
    if (id < 0) {
      Fail("character \"{}\" (U+{:04X}) at byte {} of the text is not in the vocabulary of {} characters",
           c < 0x20 || (c >= 0x7F && c < 0xA0) ? "?" : word.substr(begin, i - begin), static_cast<uint32_t>(c),
           offset + begin, vocabulary().count());
    }
    ids.push_back(id);
  }
}

OrderedJson CharLevel::Describe() const {
  return {{"type", "WordLevel"}, {"vocab", DescribeVocabulary(vocabulary())}, {"unk_token", unknown_}};
}

}  // namespace kinetok
