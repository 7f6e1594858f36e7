#include "kinetok/base/base64.h"

#include <array>
#include <cstdint>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint32_t kInvalid = 64;

constexpr std::array<uint8_t, 256> kValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(kInvalid);
  for (size_t i = 0; i < kAlphabet.size(); ++i) values[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  return values;
}();

}  // namespace

std::string EncodeBase64(std::span<const std::byte> bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i)
      group = group << 8 | (at + i < bytes.size() ? static_cast<uint32_t>(bytes[at + i]) : 0);
    for (int shift = 18; shift >= 0; shift -= 6) out += kAlphabet[group >> shift & 63];
  }
  if (const size_t left = bytes.size() % 3; left != 0) out.replace(out.size() - (3 - left), 3 - left, 3 - left, '=');
  return out;
}

std::string DecodeBase64(std::string_view text, std::string_view what) {
  if (text.size() % 4 != 0) {
    Fail("{} has {} characters, expected a multiple of 4, as base64 has", what, text.size());
  }
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0, last = text.size() - padding;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (size_t at = 0; at < text.size(); at += 4) {
    uint32_t group = 0;
    for (size_t i = at; i < at + 4; ++i) {
      const uint32_t value = i < last ? kValues[static_cast<uint8_t>(text[i])] : 0;
      if (value == kInvalid) {
        Fail("{} has 0x{:02x} at character {}, expected base64: A-Z, a-z, 0-9, + and /, with = at the end alone", what,
             static_cast<uint8_t>(text[i]), i);
      }
      group = group << 6 | value;
    }
    for (int shift = 16; shift >= 0; shift -= 8) out += static_cast<char>(group >> shift & 255);
  }
  for (size_t i = 0; i < padding; ++i) {
    if (out.back() != 0) Fail("{} has bits behind its last byte, expected base64 as it is written", what);
    out.pop_back();
  }
  return out;
}

}  // namespace kinetok
