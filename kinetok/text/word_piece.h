// WordPiece (google-research/bert, tokenization.py): a word is the longest piece that it begins with, then the longest
// piece "##..." that goes on, and so forth; a word that cannot be tiled is unknown as a whole.
#pragma once

#include <string>
#include <vector>

#include "kinetok/text/byte_trie.h"
#include "kinetok/text/tokenizer_parts.h"

namespace kinetok {

struct WordPieceOptions {
  std::string unk_token = "[UNK]";
  std::string prefix = "##";
  size_t max_characters = 100;  // longer words are unknown
};

class WordPiece : public TokenizerModel {
 public:
  // Throws Error, beginning with `source`, when the vocabulary lacks the unknown token.
  WordPiece(Vocabulary vocabulary, WordPieceOptions options, std::string_view source);

  void Encode(std::string_view word, size_t offset, std::vector<int32_t>& ids) const override;
  OrderedJson Describe() const override;
  std::optional<int32_t> unk_id() const override { return unk_; }
  const WordPieceOptions& options() const { return options_; }

 private:
  WordPieceOptions options_;
  int32_t unk_ = 0;
  ByteTrie trie_;
  int32_t inside_ = -1;  // where pieces that go on begin in the trie
};

}  // namespace kinetok
