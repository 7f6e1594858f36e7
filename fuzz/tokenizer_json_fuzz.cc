// Any bytes are a tokenizer.json or an Error; one that is accepted encodes text, decodes what it encoded, and gives the
// same ids after it was written and read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "fuzz/tokenizer_checks.h"
#include "kinetok/base/error.h"
#include "kinetok/text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::shared_ptr<const kinetok::Tokenizer> tokenizer;
  try {
    tokenizer = kinetok::Tokenizer::FromJson(text, "fuzz");
  } catch (const kinetok::Error& e) {
    if (!std::string_view(e.what()).starts_with("fuzz") && !std::string_view(e.what()).starts_with("replacing")) {
      std::abort();
    }
    return 0;
  }
  kinetok::fuzz::CheckTokenizer(*tokenizer, text, true);
  return 0;
}
