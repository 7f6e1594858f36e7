// SentencePiece's tokenizer.model: a protobuf (google/sentencepiece, sentencepiece_model.proto), read without a
// protobuf library.
#pragma once

#include <string>
#include <string_view>

#include "kinetok/text/tokenizer_builder.h"

namespace kinetok {

// The BPE model in `bytes`. Throws Error naming the source, the field and its value on a file that is broken, of
// another kind (unigram, word, char) or that asks for a normalization which is not the identity.
SentencePieceVocabulary ReadSentencePieceModel(std::string_view bytes, const std::string& source);

}  // namespace kinetok
