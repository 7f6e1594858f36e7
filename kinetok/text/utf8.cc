#include "kinetok/text/utf8.h"

#include <cstdint>
#include <cstring>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

struct Sequence {
  size_t length;  // of the well-formed sequence, or of the maximal part of one that begins here (at least 1)
  bool valid;
};

// Table 3-7 of the Unicode standard: the second byte's range depends on the first.
Sequence ReadSequence(const char* bytes, size_t available) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = at(0);
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  const size_t wanted = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < wanted; ++i) {
    if (i == available || at(i) < (i == 1 ? low : 0x80) || at(i) > (i == 1 ? high : 0xBF)) return {i, false};
  }
  return {wanted, true};
}

bool EightAscii(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, 8);
  return (word & 0x8080808080808080u) == 0;
}

}  // namespace

size_t FindInvalidUtf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    if (text.size() - i >= 8 && EightAscii(text.data() + i)) {
      i += 8;
      continue;
    }
    const Sequence s = ReadSequence(text.data() + i, text.size() - i);
    if (!s.valid) return i;
    i += s.length;
  }
  return std::string_view::npos;
}

void RequireUtf8(std::string_view text, std::string_view what) {
  const size_t bad = FindInvalidUtf8(text);
  if (bad == std::string_view::npos) return;
  Fail("{} is not valid UTF-8 at byte {} (0x{:02X})", what, bad, static_cast<uint8_t>(text[bad]));
}

char32_t NextCodePoint(std::string_view text, size_t& offset) {
  const auto continuation = [&] { return static_cast<char32_t>(static_cast<uint8_t>(text[offset++]) & 0x3F); };
  const char32_t lead = static_cast<uint8_t>(text[offset++]);
  if (lead < 0x80) return lead;
  char32_t c = lead < 0xE0 ? lead & 0x1F : lead < 0xF0 ? lead & 0x0F : lead & 0x07;
  c = (c << 6) | continuation();
  if (lead >= 0xE0) c = (c << 6) | continuation();
  if (lead >= 0xF0) c = (c << 6) | continuation();
  return c;
}

void AppendUtf8(char32_t c, std::string& out) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
    return;
  }
  if (c < 0x800) {
    put(0xC0 | (c >> 6));
  } else {
    if (c < 0x10000) {
      put(0xE0 | (c >> 12));
    } else {
      put(0xF0 | (c >> 18));
      put(0x80 | ((c >> 12) & 0x3F));
    }
    put(0x80 | ((c >> 6) & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

size_t CompleteUtf8(std::string_view text) {
  // A sequence has at most three bytes before its last one.
  const size_t earliest = text.size() < 3 ? 0 : text.size() - 3;
  for (size_t i = text.size(); i > earliest; --i) {
    const auto byte = static_cast<uint8_t>(text[i - 1]);
    if (byte < 0x80) return text.size();
    if (byte < 0xC0) continue;
    const size_t available = text.size() - (i - 1);
    const size_t wanted = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    const Sequence s = ReadSequence(text.data() + i - 1, available);
    return !s.valid && s.length == available && available < wanted && byte >= 0xC2 && byte <= 0xF4 ? i - 1
                                                                                                   : text.size();
  }
  return text.size();
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Sequence s = ReadSequence(text.data() + i, text.size() - i);
    out.append(s.valid ? text.substr(i, s.length) : "\xEF\xBF\xBD");
    i += s.length;
  }
  return out;
}

}  // namespace kinetok
