#include "kinetok/text/word_piece.h"

#include <algorithm>

#include "kinetok/base/error.h"

namespace kinetok {

WordPiece::WordPiece(Vocabulary pieces, WordPieceOptions options, std::string_view source)
    : TokenizerModel(std::move(pieces)), options_(std::move(options)) {
  const auto unk = vocabulary().Find(options_.unk_token);
  if (!unk) Fail("{}: the vocabulary lacks the unknown token \"{}\"", source, options_.unk_token);
  unk_ = *unk;
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    if (vocabulary().Has(id)) trie_.Add(vocabulary().Piece(id), id);
  }
  inside_ = trie_.Node(options_.prefix);
}

void WordPiece::Encode(std::string_view word, size_t /*offset*/, std::vector<int32_t>& ids) const {
  const auto characters = std::ranges::count_if(word, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
  const size_t first = ids.size();
  bool unknown = static_cast<size_t>(characters) > options_.max_characters;
  for (size_t begin = 0; begin < word.size() && !unknown;) {
    const int32_t node = begin == 0 ? 0 : inside_;
    const ByteTrie::Match piece = node < 0 ? ByteTrie::Match() : trie_.Longest(word.substr(begin), node);
    unknown = piece.value < 0;
    ids.push_back(piece.value);
    begin += piece.size;
  }
  if (!unknown) return;
  ids.resize(first);
  ids.push_back(unk_);
}

OrderedJson WordPiece::Describe() const {
  return {{"type", "WordPiece"},
          {"unk_token", options_.unk_token},
          {"continuing_subword_prefix", options_.prefix},
          {"max_input_chars_per_word", options_.max_characters},
          {"vocab", DescribeVocabulary(vocabulary())}};
}

}  // namespace kinetok
