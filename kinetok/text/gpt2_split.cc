#include "kinetok/text/gpt2_split.h"

#include <algorithm>
#include <array>

#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

using BmpTable = std::array<CharClass, 0x10000>;

const BmpTable& Bmp() {
  static const BmpTable table = [] {
    BmpTable t{};
    for (const CharRange& r : CharRanges()) {
      for (char32_t c = r.first; c <= r.last && c < t.size(); ++c) t[c] = r.char_class;
    }
    return t;
  }();
  return table;
}

// The length of an English contraction's ending at `begin`, 0 when there is none. Case-sensitive, as in GPT-2.
size_t ContractionLength(std::string_view text, size_t begin) {
  for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.substr(begin).starts_with(ending)) return ending.size();
  }
  return 0;
}

}  // namespace

CharClass ClassOf(char32_t c) {
  if (c < 0x10000) return Bmp()[c];
  const auto ranges = CharRanges();
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), c,
                                      [](char32_t value, const CharRange& r) { return value < r.first; });
  return after != ranges.begin() && c <= after[-1].last ? after[-1].char_class : CharClass::kOther;
}

size_t Gpt2WordEnd(std::string_view text, size_t begin) {
  if (text[begin] == '\'') {
    if (const size_t length = ContractionLength(text, begin)) return begin + length;
  }
  size_t end = begin;
  CharClass run = ClassOf(NextCodePoint(text, end));
  if (text[begin] == ' ' && end < text.size()) {
    size_t after = end;
    const CharClass next = ClassOf(NextCodePoint(text, after));
    if (next != CharClass::kSpace) {
      run = next;
      end = after;
    }
  }
  size_t last = begin;  // where the last character of the run starts
  while (end < text.size()) {
    size_t after = end;
    if (ClassOf(NextCodePoint(text, after)) != run) {
      // \s+(?!\S): white space before a word leaves its last character to what follows, unless it is the only one.
      return run == CharClass::kSpace && last != begin ? last : end;
    }
    last = end;
    end = after;
  }
  return end;
}

}  // namespace kinetok
