// Any bytes are a SentencePiece tokenizer.model or an Error that names it; one that is accepted encodes text and
// decodes what it encoded, and its pieces make the same tokenizer again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "fuzz/tokenizer_checks.h"
#include "kinetok/base/error.h"
#include "kinetok/text/sentencepiece_file.h"
#include "kinetok/text/tokenizer_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kinetok::fuzz::EncodeOrNothing;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::shared_ptr<const kinetok::Tokenizer> tokenizer;
  try {
    tokenizer = kinetok::MakeSentencePieceTokenizer(kinetok::ReadSentencePieceModel(text, "fuzz"), "fuzz");
  } catch (const kinetok::Error& e) {
    if (!std::string_view(e.what()).starts_with("fuzz")) std::abort();
    return 0;
  }
  kinetok::fuzz::CheckTokenizer(*tokenizer, text, false);  // equal scores have no place among ranked merges
  const auto vocabulary = kinetok::SentencePieceVocabularyOf(*tokenizer);
  if (!vocabulary) std::abort();
  const auto copy = kinetok::MakeSentencePieceTokenizer(*vocabulary, "copy");
  const std::string_view sample = "abc ab 오늘 날씨가 \xF0\x9F\x98\x80";
  if (EncodeOrNothing(*copy, sample) != EncodeOrNothing(*tokenizer, sample)) std::abort();
  return 0;
}
