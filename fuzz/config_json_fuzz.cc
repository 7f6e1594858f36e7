// Any bytes are a config.json or an Error; one that is accepted describes a model, and survives being written and read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kinetok/base/error.h"
#include "kinetok/model/config.h"
#include "kinetok/model/parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const kinetok::ModelConfig config = kinetok::ParseModelConfig(kinetok::ParseJson(text, "fuzz"), "fuzz");
    const std::string written = kinetok::ModelConfigToJson(config, "float32").dump();
    if (kinetok::ParseModelConfig(kinetok::ParseJson(written, "fuzz"), "fuzz") != config) std::abort();
    if (config.num_hidden_layers <= 64 && kinetok::ParameterList(config).parameters <= 0) std::abort();
  } catch (const kinetok::Error& e) {
    if (!std::string_view(e.what()).starts_with("fuzz: ")) std::abort();
  }
  return 0;
}
