// Character level: every code point is a token. In tokenizer.json a WordLevel model after a Split that isolates every
// character.
#pragma once

#include <string>
#include <vector>

#include "kinetok/text/tokenizer_parts.h"

namespace kinetok {

// Its "pre_tokenizer" and "decoder".
Json CharacterSplit();
Json FuseDecoder();

class CharLevel : public TokenizerModel {
 public:
  // Characters that the vocabulary lacks become `unknown` when it is a piece, and are errors when it is not.
  CharLevel(Vocabulary vocabulary, std::string unknown);

  // A word is a whole stretch of text: the cut into characters is the model's own.
  void Encode(std::string_view word, size_t offset, std::vector<int32_t>& ids) const override;
  bool WordsRepeat() const override { return false; }
  OrderedJson Describe() const override;
  std::optional<int32_t> unk_id() const override { return unknown_id_ < 0 ? std::nullopt : std::optional(unknown_id_); }

 private:
  std::string unknown_;
  int32_t unknown_id_;
  std::vector<int32_t> ids_;  // by code point, up to the largest one of the vocabulary; -1 where it has none
};

}  // namespace kinetok
