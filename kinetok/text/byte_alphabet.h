// GPT-2 writes bytes in its vocabulary as printable characters: the space as "Ġ" (U+0120), "é" as "Ã©".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kinetok {

char32_t ByteCharacter(uint8_t byte);
int ByteOfCharacter(char32_t character);  // -1 for a character that stands for no byte

// Appends the bytes that `piece` writes; a piece that is not written in this alphabet stands for itself.
void AppendBytesOf(std::string_view piece, std::string& bytes);

// The characters of `bytes`.
std::string WriteBytes(std::string_view bytes);

}  // namespace kinetok
