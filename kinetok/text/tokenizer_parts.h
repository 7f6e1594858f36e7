// What a Tokenizer is made of. A further kind of tokenizer is one more TokenizerModel and its reader.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kinetok/base/json.h"
#include "kinetok/text/vocabulary.h"

namespace kinetok {

// Ids of plain text and back. Immutable; its functions may be called from several threads.
class TokenizerModel {
 public:
  explicit TokenizerModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenizerModel() = default;

  const Vocabulary& vocabulary() const { return vocabulary_; }

  // Appends the ids of `text`, a stretch of valid UTF-8 without added tokens that starts at byte `offset` of what the
  // user gave (for errors, and to tell where a text starts).
  virtual void Encode(std::string_view text, size_t offset, std::vector<int32_t>& ids) const = 0;

  // Appends the bytes of the piece `id` when it follows the piece `previous`, -1 at the start of a text.
  virtual void Decode(int32_t id, int32_t previous, std::string& bytes) const = 0;

  // Sets "normalizer", "pre_tokenizer", "decoder" and "model" of a tokenizer.json.
  virtual void Describe(OrderedJson& tokenizer) const = 0;

 private:
  Vocabulary vocabulary_;
};

struct TokenizerParts {
  std::unique_ptr<const TokenizerModel> model;
  AddedTokens added;
  std::vector<int32_t> before, after;  // ids around a text, with EncodeOptions::special
  std::optional<int32_t> bos, eos;
};

// The id of an added token or a piece.
std::optional<int32_t> FindToken(const TokenizerParts& parts, std::string_view piece);

// BOS and EOS by their usual names: <s> and </s>, else <|endoftext|>.
void NameEnds(TokenizerParts& parts);

// The pieces as tokenizer.json's "vocab", in the order of ids.
OrderedJson DescribeVocabulary(const Vocabulary& vocabulary);

// An object of pieces and ids. Throws Error on ids that are not whole numbers, out of range or given twice.
Vocabulary ReadVocabulary(const Json& json, const std::string& source);

OrderedJson DescribeTokenizer(const TokenizerParts& parts);

// A tokenizer.json that has been parsed; `source` is what errors call it.
TokenizerParts ReadTokenizerJson(const Json& json, const std::string& source);

}  // namespace kinetok
