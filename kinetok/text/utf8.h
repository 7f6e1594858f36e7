// UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kinetok {

// The offset of the first byte that is not part of a well-formed sequence, npos when there is none.
size_t FindInvalidUtf8(std::string_view text);

// Throws Error "<what> is not valid UTF-8 at byte 17 (0xFF)" unless `text` is valid.
void RequireUtf8(std::string_view text, std::string_view what);

// The code point at `offset` of valid text; `offset` moves past it.
char32_t NextCodePoint(std::string_view text, size_t& offset);

void AppendUtf8(char32_t code_point, std::string& out);

// How many leading bytes of `text` remain when a sequence that its last bytes begin, but do not end, is left out.
size_t CompleteUtf8(std::string_view text);

// Every maximal part of a malformed sequence becomes one U+FFFD, as in Unicode 3.9 (and Python, and Rust).
std::string ReplaceInvalidUtf8(std::string_view text);

}  // namespace kinetok
