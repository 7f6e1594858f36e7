// Named configurations.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kinetok/model/config.h"

namespace kinetok {

// "gpt1-117m", "gpt2-124m", "gpt3-125m", "llama2-7b", "llama-1.1b", "bert-base", "tiny", "nano-char-cpu", ... Throws
// Error with the nearest name when unknown.
ModelConfig Preset(std::string_view name);
std::vector<std::string> PresetNames();

// The nearest of `names` to `word` (edit distance), for "did you mean" messages; empty when none is near.
std::string NearestName(std::string_view word, const std::vector<std::string>& names);

}  // namespace kinetok
