#include "kinetok/text/byte_alphabet.h"

#include <array>

#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

struct ByteAlphabet {
  std::array<char32_t, 256> characters{};
  std::array<int16_t, 512> bytes{};
  ByteAlphabet() {
    bytes.fill(-1);
    char32_t next = 256;  // bytes that are not printable Latin-1 take characters from here on
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      characters[static_cast<size_t>(b)] = printable ? static_cast<char32_t>(b) : next++;
      bytes[characters[static_cast<size_t>(b)]] = static_cast<int16_t>(b);
    }
  }
};

const ByteAlphabet& Alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

}  // namespace

char32_t ByteCharacter(uint8_t byte) {
  return Alphabet().characters[byte];
}

int ByteOfCharacter(char32_t character) {
  return character < Alphabet().bytes.size() ? Alphabet().bytes[character] : -1;
}

void AppendBytesOf(std::string_view piece, std::string& bytes) {
  const size_t start = bytes.size();
  for (size_t i = 0; i < piece.size();) {
    const int byte = ByteOfCharacter(NextCodePoint(piece, i));
    if (byte < 0) {
      bytes.replace(start, std::string::npos, piece);
      return;
    }
    bytes += static_cast<char>(byte);
  }
}

std::string WriteBytes(std::string_view bytes) {
  std::string piece;
  for (const char c : bytes) AppendUtf8(ByteCharacter(static_cast<uint8_t>(c)), piece);
  return piece;
}

}  // namespace kinetok
