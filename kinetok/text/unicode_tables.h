// What the tokenizers know of Unicode, as Hugging Face's `tokenizers` knows it (its parts follow different versions of
// the standard). Read through unicode.h and gpt2_split.h.
#pragma once

#include <cstdint>
#include <span>

namespace kinetok {

// The classes of characters that GPT-2's split rule tells apart.
enum class CharClass : uint8_t { kOther, kLetter, kNumber, kSpace };  // \p{L}, \p{N}, \s; never two at once

struct CharRange {
  char32_t first, last;  // inclusive
  CharClass char_class;
};

// In ascending order, without kOther.
std::span<const CharRange> CharRanges();

// What normalizers and pre-tokenizers ask of a character.
enum Trait : uint8_t {
  kWhiteSpace = 1,       // Rust's char::is_whitespace
  kCleaned = 2,          // BertNormalizer's clean_text drops it: control characters, U+0000, U+FFFD, unassigned ones
  kChinese = 4,          // BertNormalizer's handle_chinese_chars puts spaces around it
  kNonspacingMark = 8,   // BertNormalizer's strip_accents drops it
  kCombiningMark = 16,   // StripAccents drops it
  kPunctuation = 32,     // a word of its own for BertPreTokenizer and Punctuation
  kNumeric = 64,         // what Digits sets apart
  kWordCharacter = 128,  // \w
};

struct TraitRange {
  char32_t first, last;
  uint8_t traits;
};

// In ascending order, without ranges that have no trait.
std::span<const TraitRange> TraitRanges();

// Hexadecimal texts: "41=61;" is a code point and what it becomes, "300-314=E6;" a range and its value, "340;" a
// member. Hangul syllables, which follow a rule, are left out of the decompositions; compatibility ones hold what
// differs from canonical ones.
extern const char* const kLowercase;
extern const char* const kCanonicalDecompositions;
extern const char* const kCompatibilityDecompositions;
extern const char* const kCombiningClasses;
extern const char* const kCompositionExclusions;

}  // namespace kinetok
