#include "kinetok/text/unicode.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

// The part of `text` before `end`, which is cut off together with it; `text` is one of our own tables.
std::string_view Take(std::string_view& text, char end) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

char32_t Hexadecimal(std::string_view digits) {
  uint32_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return value;
}

using Mapping = std::unordered_map<char32_t, std::u32string>;

void ReadMapping(std::string_view table, Mapping& mapping) {
  while (!table.empty()) {
    std::string_view entry = Take(table, ';');
    const char32_t from = Hexadecimal(Take(entry, '='));
    std::u32string& to = mapping[from];
    to.clear();
    while (!entry.empty()) to += Hexadecimal(Take(entry, ' '));
  }
}

// Hangul syllables are composed of a leading consonant, a vowel and perhaps a trailing consonant (Unicode 3.12).
namespace hangul {
constexpr char32_t kSyllables = 0xAC00, kLeading = 0x1100, kVowels = 0x1161, kTrailing = 0x11A7;
constexpr char32_t kLeadingCount = 19, kVowelCount = 21, kTrailingCount = 28;
constexpr char32_t kSyllableCount = kLeadingCount * kVowelCount * kTrailingCount;

bool IsSyllable(char32_t c) {
  return c >= kSyllables && c < kSyllables + kSyllableCount;
}

void Decompose(char32_t c, std::u32string& out) {
  const char32_t index = c - kSyllables;
  out.push_back(kLeading + index / (kVowelCount * kTrailingCount));
  out.push_back(kVowels + index / kTrailingCount % kVowelCount);
  if (index % kTrailingCount != 0) out.push_back(kTrailing + index % kTrailingCount);
}

// 0 when the two do not compose.
char32_t Compose(char32_t first, char32_t second) {
  if (first >= kLeading && first < kLeading + kLeadingCount && second >= kVowels && second < kVowels + kVowelCount) {
    return kSyllables + ((first - kLeading) * kVowelCount + (second - kVowels)) * kTrailingCount;
  }
  if (IsSyllable(first) && (first - kSyllables) % kTrailingCount == 0 && second > kTrailing &&
      second < kTrailing + kTrailingCount) {
    return first + (second - kTrailing);
  }
  return 0;
}
}  // namespace hangul

struct Tables {
  Mapping canonical, compatibility;
  std::unordered_map<char32_t, uint8_t> classes;
  std::unordered_map<uint64_t, char32_t> compositions;  // of two characters

  static uint64_t Key(char32_t first, char32_t second) { return (uint64_t{first} << 32) | second; }

  Tables() {
    ReadMapping(kCanonicalDecompositions, canonical);
    compatibility = canonical;
    ReadMapping(kCompatibilityDecompositions, compatibility);
    for (std::string_view table = kCombiningClasses; !table.empty();) {
      std::string_view entry = Take(table, ';');
      std::string_view range = Take(entry, '=');
      const char32_t first = Hexadecimal(Take(range, '-')), last = Hexadecimal(range);
      for (char32_t c = first; c <= last; ++c) classes[c] = static_cast<uint8_t>(Hexadecimal(entry));
    }
    std::vector<char32_t> excluded;
    for (std::string_view table = kCompositionExclusions; !table.empty();) {
      excluded.push_back(Hexadecimal(Take(table, ';')));
    }
    // Decompositions are full ones: all but the last character compose to the first half of a pair. Short ones go
    // first, so that their halves are there for the longer ones.
    for (size_t length = 2; length <= 4; ++length) {
      for (const auto& [composed, parts] : canonical) {
        if (parts.size() != length || std::ranges::binary_search(excluded, composed)) continue;
        char32_t first = parts[0];
        for (size_t i = 1; i + 1 < length; ++i) first = Compose(first, parts[i]);
        if (first != 0) compositions[Key(first, parts.back())] = composed;
      }
    }
  }

  uint8_t Class(char32_t c) const {
    const auto it = c < 0x300 ? classes.end() : classes.find(c);
    return it == classes.end() ? uint8_t{0} : it->second;
  }
  char32_t Compose(char32_t first, char32_t second) const {
    if (const char32_t syllable = hangul::Compose(first, second)) return syllable;
    const auto it = compositions.find(Key(first, second));
    return it == compositions.end() ? 0 : it->second;
  }
};

const Tables& GetTables() {
  static const Tables tables;
  return tables;
}

void Compose(std::u32string& text, const Tables& tables) {
  size_t size = 0;
  size_t starter = std::u32string::npos;  // the last character of class 0
  uint8_t last_class = 0;
  for (const char32_t c : text) {
    const uint8_t c_class = tables.Class(c);
    if (starter != std::u32string::npos) {
      const bool adjacent = size == starter + 1;
      if (adjacent || last_class < c_class) {
        if (const char32_t composed = tables.Compose(text[starter], c)) {
          text[starter] = composed;
          continue;
        }
      }
    }
    if (c_class == 0) starter = size;
    last_class = c_class;
    text[size++] = c;
  }
  text.resize(size);
}

bool IsAscii(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return (static_cast<uint8_t>(c) & 0x80) != 0; });
}

using BmpTraits = std::array<uint8_t, 0x10000>;

const BmpTraits& Bmp() {
  static const BmpTraits table = [] {
    BmpTraits t{};
    for (const TraitRange& r : TraitRanges()) {
      for (char32_t c = r.first; c <= r.last && c < t.size(); ++c) t[c] = r.traits;
    }
    return t;
  }();
  return table;
}

}  // namespace

uint8_t TraitsOf(char32_t c) {
  if (c < 0x10000) return Bmp()[c];
  const auto ranges = TraitRanges();
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), c,
                                      [](char32_t value, const TraitRange& r) { return value < r.first; });
  return after != ranges.begin() && c <= after[-1].last ? after[-1].traits : uint8_t{0};
}

std::string Lowercase(std::string_view utf8) {
  static const Mapping mapping = [] {
    Mapping m;
    ReadMapping(kLowercase, m);
    return m;
  }();
  std::string out;
  out.reserve(utf8.size());
  for (size_t i = 0; i < utf8.size();) {
    const auto byte = static_cast<uint8_t>(utf8[i]);
    if (byte < 0x80) {
      out += static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
      ++i;
      continue;
    }
    const size_t begin = i;
    const auto found = mapping.find(NextCodePoint(utf8, i));
    if (found == mapping.end()) {
      out += utf8.substr(begin, i - begin);
    } else {
      for (const char32_t lower : found->second) AppendUtf8(lower, out);
    }
  }
  return out;
}

std::string Normalize(std::string_view utf8, NormalForm form) {
  if (IsAscii(utf8)) return std::string(utf8);
  const Tables& tables = GetTables();
  const bool compatible = form == NormalForm::kNfkd || form == NormalForm::kNfkc;
  const Mapping& mapping = compatible ? tables.compatibility : tables.canonical;
  std::u32string text;
  for (size_t i = 0; i < utf8.size();) {
    const char32_t c = NextCodePoint(utf8, i);
    if (hangul::IsSyllable(c)) {
      hangul::Decompose(c, text);
    } else if (const auto found = mapping.find(c); c >= 0x80 && found != mapping.end()) {
      text += found->second;
    } else {
      text += c;
    }
  }
  // Marks between two characters of class 0 stand in the order of their classes.
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && tables.Class(text[end]) != 0) ++end;
    if (end - i > 1) {
      std::stable_sort(text.begin() + static_cast<ptrdiff_t>(i), text.begin() + static_cast<ptrdiff_t>(end),
                       [&](char32_t a, char32_t b) { return tables.Class(a) < tables.Class(b); });
    }
    i = std::max(end, i + 1);
  }
  if (form == NormalForm::kNfc || form == NormalForm::kNfkc) Compose(text, tables);
  std::string out;
  out.reserve(utf8.size());
  for (const char32_t c : text) AppendUtf8(c, out);
  return out;
}

}  // namespace kinetok
