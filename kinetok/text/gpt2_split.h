// GPT-2's rule for cutting a text into words (openai/gpt-2, src/encoder.py), over all of Unicode:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
#pragma once

#include <cstddef>
#include <string_view>

#include "kinetok/text/unicode_tables.h"

namespace kinetok {

CharClass ClassOf(char32_t code_point);

// The end of the word that starts at `begin` < text.size(); `text` is valid UTF-8. Words tile the text.
size_t Gpt2WordEnd(std::string_view text, size_t begin);

}  // namespace kinetok
