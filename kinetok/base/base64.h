// Base64 (RFC 4648, section 4), strictly.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace kinetok {

std::string EncodeBase64(std::span<const std::byte> bytes);

// Throws Error naming `what` and the place of the fault unless `text` is what EncodeBase64 writes for some bytes: whole
// groups of four characters, padded at the end, no line breaks, no bits set behind the last byte.
std::string DecodeBase64(std::string_view text, std::string_view what);

}  // namespace kinetok
