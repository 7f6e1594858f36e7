// What a Tokenizer is made of: a text is cut at its added tokens; each stretch between them is normalized, cut into
// words, and each word becomes ids by the model. Every part reads its field of a tokenizer.json.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kinetok/base/json.h"
#include "kinetok/text/normalizer.h"
#include "kinetok/text/pre_tokenizer.h"
#include "kinetok/text/text_decoder.h"
#include "kinetok/text/tokenizer_builder.h"
#include "kinetok/text/vocabulary.h"

namespace kinetok {

// Ids of a word. Immutable; its functions may be called from several threads.
class TokenizerModel {
 public:
  explicit TokenizerModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenizerModel() = default;

  const Vocabulary& vocabulary() const { return vocabulary_; }

  // Appends the ids of `word`, valid UTF-8 that is not empty; it lies near byte `offset` of the text (for errors).
  virtual void Encode(std::string_view word, size_t offset, std::vector<int32_t>& ids) const = 0;

  // Whether words come again and again, so that remembering their ids pays.
  virtual bool WordsRepeat() const { return true; }

  virtual std::optional<int32_t> unk_id() const { return std::nullopt; }

  // The "model" of a tokenizer.json.
  virtual OrderedJson Describe() const = 0;

 private:
  Vocabulary vocabulary_;
};

struct TokenizerParts {
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::unique_ptr<const TokenizerModel> model;
  TextDecoder decoder;
  AddedTokens added;
  std::vector<int32_t> before, after;  // ids around a text, with EncodeOptions::special
  SpecialIds special;

  void Encode(std::string_view text, bool parse_special, std::vector<int32_t>& ids) const;
};

// The id of an added token or a piece.
std::optional<int32_t> FindToken(const TokenizerParts& parts, std::string_view piece);

// Special ids by their usual names where none is set: <s> and </s>, else <|endoftext|>; [CLS], [SEP], [PAD], [MASK] ...
void NameEnds(TokenizerParts& parts);
void NameOthers(TokenizerParts& parts);

// "<0x0A>", the piece of a byte.
std::string BytePiece(char byte);

// Lets the pre-tokenizer cut before spaces where the model allows it: it changes no id, and words repeat.
template <class Model>
void CutWherePossible(const Model& model, PreTokenizer& pre_tokenizer) {
  if (!pre_tokenizer.byte_level() && model.MayCutBeforeSpaces()) pre_tokenizer.CutBeforeSpaces();
}

// The pieces as tokenizer.json's "vocab", in the order of ids.
OrderedJson DescribeVocabulary(const Vocabulary& vocabulary);

// An object of pieces and ids. Throws Error on ids that are not whole numbers, out of range or given twice.
Vocabulary ReadVocabulary(const Json& json, const std::string& source);

// An entry of "added_tokens".
AddedToken ReadAddedToken(const JsonObject& token);

// Throws Error, beginning with `source`, when the token's id belongs to another piece, or is far beyond the `pieces`
// that the tokenizer has in all.
void AddToken(TokenizerParts& parts, const AddedToken& token, int64_t pieces, std::string_view source);

OrderedJson DescribeTokenizer(const TokenizerParts& parts);

// A tokenizer.json that has been parsed; `source` is what errors call it.
TokenizerParts ReadTokenizerJson(const Json& json, const std::string& source);

}  // namespace kinetok
