// The parts of each kind of tokenizer, as Hugging Face's converters put them together.
#pragma once

#include <string_view>

#include "kinetok/text/bpe.h"
#include "kinetok/text/tokenizer_builder.h"
#include "kinetok/text/tokenizer_parts.h"

namespace kinetok {

TokenizerParts SentencePieceParts(const SentencePieceVocabulary& vocabulary, std::string_view source);
// The same without a model: how spaces are treated, and the ids around a text.
TokenizerParts SentencePieceFrame(const SentencePieceVocabulary& vocabulary, std::string_view source);
TokenizerParts ByteLevelParts(const ByteLevelVocabulary& vocabulary, std::string_view source);
TokenizerParts WordPieceParts(const WordPieceVocabulary& vocabulary, std::string_view source);

// Vocabularies whose ids may have holes; `merges_source` is what errors about merges call them. The first is what
// ByteLevelParts is made of, the second GPT-1's: lower-cased words as BERT cuts them, BPE with "</w>" after a word.
TokenizerParts Gpt2Parts(Vocabulary vocabulary, const Bpe::Merges& merges, bool add_prefix_space,
                         std::string_view merges_source);
TokenizerParts Gpt1Parts(Vocabulary vocabulary, const Bpe::Merges& merges, std::string_view merges_source);
inline constexpr std::string_view kEndOfWord = "</w>";

// Adds the piece `id` to the tokens that are found in a text before anything else, unless it is among them.
void AddPieceAsToken(TokenizerParts& parts, int32_t id, bool special, std::string_view source);

// Sets the ids around a text.
void PutAround(TokenizerParts& parts, std::optional<int32_t> before, std::optional<int32_t> after);

}  // namespace kinetok
