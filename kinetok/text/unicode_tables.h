// The classes of characters that GPT-2's split rule tells apart, over all of Unicode.
#pragma once

#include <cstdint>
#include <span>

namespace kinetok {

enum class CharClass : uint8_t { kOther, kLetter, kNumber, kSpace };  // \p{L}, \p{N}, \s; never two at once

struct CharRange {
  char32_t first, last;  // inclusive
  CharClass char_class;
};

// In ascending order, without kOther.
std::span<const CharRange> CharRanges();

}  // namespace kinetok
