// Prompts with an image in them: BOS, the image's patches, and the text.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kinetok/text/tokenizer.h"

namespace kinetok {

// The first token (BOS), the places of an image's patches, and the other tokens.
std::vector<int32_t> WithPatches(std::span<const int32_t> tokens, int64_t patches);

// A text as a model with a camera reads it: BOS (also where the tokenizer's template puts none), `patches` places of an
// image, the text. Special tokens typed in it are plain text. Throws Error when it is not UTF-8, or when nothing is
// left of it.
std::vector<int32_t> PromptTokens(const Tokenizer& tokenizer, std::string_view text, int64_t patches);

}  // namespace kinetok
