// Tokenizers made from pieces in memory, and the pieces back out of a tokenizer: what readers and writers of formats
// that carry a vocabulary inside (GGUF) need. A piece's id is its place in `pieces`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kinetok/text/tokenizer.h"

namespace kinetok {

// What a model's special ids are, and whether EncodeOptions::special puts the ends around a text.
struct SpecialIds {
  std::optional<int32_t> bos = {}, eos = {}, unk = {}, pad = {}, cls = {}, sep = {}, mask = {};
};

// Numbered as in sentencepiece_model.proto and in GGUF's tokenizer.ggml.token_type.
enum class PieceType : uint8_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

struct SentencePiece {
  std::string text;  // "▁world"; a byte is "<0x0A>"
  float score = 0;   // the pair whose piece has the highest is merged first
  PieceType type = PieceType::kNormal;
};

// SentencePiece's BPE (google/sentencepiece, bpe_model.cc), as Llama 2 has it. Control, unknown and user-defined pieces
// are found in a text before anything else, as Hugging Face does; the first two are special.
struct SentencePieceVocabulary {
  std::vector<SentencePiece> pieces;
  bool add_dummy_prefix = true;           // a space before a text
  bool prefix_after_special = true;       // ... and before each stretch after a special token ("legacy")
  bool remove_extra_whitespaces = false;  // strips a text and makes one of several spaces
  SpecialIds ids;                         // bos, eos, unk, pad
  bool add_bos = true, add_eos = false;
};

// GPT-2's byte-level BPE.
struct ByteLevelVocabulary {
  std::vector<std::string> pieces;                          // "Ġworld"
  std::vector<std::pair<std::string, std::string>> merges;  // by rank
  std::vector<int32_t> special;                             // control tokens: found in a text before anything else
  std::vector<int32_t> user_defined;                        // found like them, but part of the text
  bool add_prefix_space = false;
  SpecialIds ids;  // bos, eos, unk, pad
  bool add_bos = false, add_eos = false;
};

// BERT's WordPiece; EncodeOptions::special puts cls before a text and sep after it.
struct WordPieceVocabulary {
  std::vector<std::string> pieces;  // "world", "##ing", "[CLS]"
  bool lower_case = true;
  std::optional<bool> strip_accents;  // absent: as lower_case
  bool chinese_characters = true;     // each is a word
  SpecialIds ids;                     // unk, cls, sep, pad, mask: absent ones by their usual names "[UNK]" ...
};

// Throw Error, beginning with `source`, on pieces that cannot be: one that appears twice, is not UTF-8, a score that is
// not finite, a merge that names an absent piece, an id out of range.
std::shared_ptr<const Tokenizer> MakeSentencePieceTokenizer(const SentencePieceVocabulary& vocabulary,
                                                            std::string_view source);
std::shared_ptr<const Tokenizer> MakeByteLevelBpeTokenizer(const ByteLevelVocabulary& vocabulary,
                                                           std::string_view source);
std::shared_ptr<const Tokenizer> MakeWordPieceTokenizer(const WordPieceVocabulary& vocabulary, std::string_view source);

// The parts of a tokenizer of that kind; nothing when it is another kind or does more than these fields can say. Ids
// that no piece has come back as unused pieces "[unused<id>]". Scores of a tokenizer.json follow its merges' ranks.
std::optional<SentencePieceVocabulary> SentencePieceVocabularyOf(const Tokenizer& tokenizer);
std::optional<ByteLevelVocabulary> ByteLevelVocabularyOf(const Tokenizer& tokenizer);
std::optional<WordPieceVocabulary> WordPieceVocabularyOf(const Tokenizer& tokenizer);

}  // namespace kinetok
