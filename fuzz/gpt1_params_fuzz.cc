// Any bytes are the .npy file of a float32 vector or an Error, and any JSON is the list of GPT-1's shapes or an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "kinetok/base/error.h"
#include "kinetok/io/gpt1_params.h"
#include "kinetok/model/config.h"

namespace {

template <class Read>
void ReadOrError(Read read) {
  try {
    read();
  } catch (const kinetok::Error& e) {
    if (!std::string_view(e.what()).starts_with("fuzz: ")) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  ReadOrError([&] {
    const auto values = kinetok::ParseNpyVector(bytes, "fuzz");
    if (values.size() % 4 != 0 || values.data() + values.size() != bytes.data() + bytes.size()) std::abort();
  });
  ReadOrError([&] {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const kinetok::Json config(kinetok::Gpt1ConfigFromShapes(kinetok::ParseJson(text, "fuzz"), "fuzz"));
    kinetok::ParseModelConfig(config, "fuzz");
  });
  return 0;
}
