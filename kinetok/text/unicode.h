// Characters as Hugging Face's `tokenizers` sees them: traits, lower case and the four normal forms.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kinetok/text/unicode_tables.h"

namespace kinetok {

uint8_t TraitsOf(char32_t code_point);
inline bool HasTrait(char32_t code_point, Trait trait) {
  return (TraitsOf(code_point) & trait) != 0;
}

// Each character by itself, as Rust's char::to_lowercase: a final sigma is not told apart.
std::string Lowercase(std::string_view utf8);

enum class NormalForm : uint8_t { kNfd, kNfc, kNfkd, kNfkc };

// Unicode Standard Annex 15.
std::string Normalize(std::string_view utf8, NormalForm form);

}  // namespace kinetok
