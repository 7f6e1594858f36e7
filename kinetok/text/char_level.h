// Character level: every code point is a token. In tokenizer.json a WordLevel model after a Split that isolates every
// character.
#pragma once

#include <string>
#include <vector>

#include "kinetok/text/tokenizer_parts.h"

namespace kinetok {

class CharLevel : public TokenizerModel {
 public:
  // Characters that the vocabulary lacks become `unknown` when it is a piece, and are errors when it is not.
  CharLevel(Vocabulary vocabulary, std::string unknown);

  void Encode(std::string_view text, size_t offset, std::vector<int32_t>& ids) const override;
  void Decode(int32_t id, int32_t previous, std::string& bytes) const override;
  void Describe(OrderedJson& tokenizer) const override;

 private:
  std::string unknown_;
  int32_t unknown_id_;
  std::vector<int32_t> ids_;  // by code point, up to the largest one of the vocabulary; -1 where it has none
};

}  // namespace kinetok
