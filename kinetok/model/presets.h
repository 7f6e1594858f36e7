// Named configurations.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kinetok/model/config.h"

namespace kinetok {

// "gpt2-124m", "gpt2-355m", "gpt2-774m", "gpt2-1.5b", "llama2-7b", "llama-1.1b", "tiny", "nano-char-cpu",
// "nano-char-gpu", ... Throws Error with the nearest name when unknown.
ModelConfig Preset(std::string_view name);
std::vector<std::string> PresetNames();

// The nearest of `names` to `word` (edit distance), for "did you mean" messages; empty when none is near.
std::string NearestName(std::string_view word, const std::vector<std::string>& names);

}  // namespace kinetok
