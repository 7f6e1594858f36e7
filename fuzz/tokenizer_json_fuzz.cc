// Any bytes are a tokenizer.json or an Error; one that is accepted encodes text, decodes what it encoded, and gives the
// same ids after it was written and read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/text/utf8.h"

namespace {

std::vector<int32_t> EncodeOrNothing(const kinetok::Tokenizer& tokenizer, std::string_view text) {
  try {
    return tokenizer.Encode(text, {.special = true});
  } catch (const kinetok::Error&) {  // a character that the vocabulary lacks
    return {};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::shared_ptr<const kinetok::Tokenizer> tokenizer;
  try {
    tokenizer = kinetok::Tokenizer::FromJson(text, "fuzz");
  } catch (const kinetok::Error& e) {
    if (!std::string_view(e.what()).starts_with("fuzz")) std::abort();
    return 0;
  }
  const auto copy = kinetok::Tokenizer::FromJson(tokenizer->ToJson(), "copy");
  if (copy->vocab_size() != tokenizer->vocab_size()) std::abort();
  const std::string own = kinetok::ReplaceInvalidUtf8(text.substr(0, 256));
  for (const std::string_view sample :
       {std::string_view("abc 오늘 날씨가 <|endoftext|>\n\n  😀 12's"), std::string_view(own)}) {
    const std::vector<int32_t> ids = EncodeOrNothing(*tokenizer, sample);
    if (ids != EncodeOrNothing(*copy, sample)) std::abort();
    kinetok::StreamDecoder stream(*tokenizer);
    std::string streamed;
    for (const int32_t id : ids) {
      if (!tokenizer->Has(id)) std::abort();
      streamed += stream.Push(id);
    }
    streamed += stream.Finish();
    if (streamed != kinetok::ReplaceInvalidUtf8(tokenizer->Decode(ids))) std::abort();
  }
  return 0;
}
