#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kinetok/text/utf8.h"

namespace kinetok::cli {
namespace {

struct WidthRange {
  char32_t first, last;  // inclusive
};
// East Asian Width W and F (Unicode Standard Annex 11), and emoji.
constexpr std::array<WidthRange, 18> kWide = {{{0x1100, 0x115F},
                                               {0x231A, 0x231B},
                                               {0x2E80, 0x303E},
                                               {0x3041, 0x33FF},
                                               {0x3400, 0x4DBF},
                                               {0x4E00, 0x9FFF},
                                               {0xA000, 0xA4CF},
                                               {0xA960, 0xA97C},
                                               {0xAC00, 0xD7A3},
                                               {0xF900, 0xFAFF},
                                               {0xFE30, 0xFE6F},
                                               {0xFF01, 0xFF60},
                                               {0xFFE0, 0xFFE6},
                                               {0x1F300, 0x1F64F},
                                               {0x1F680, 0x1F6FF},
                                               {0x1F900, 0x1F9FF},
                                               {0x1FA70, 0x1FAFF},
                                               {0x20000, 0x3FFFD}}};
// Combining marks, medial and final jamo, joiners and variation selectors.
constexpr std::array<WidthRange, 8> kZero = {{{0x0300, 0x036F},
                                              {0x1160, 0x11FF},
                                              {0x200B, 0x200F},
                                              {0x20D0, 0x20FF},
                                              {0xD7B0, 0xD7FB},
                                              {0xFE00, 0xFE0F},
                                              {0xFE20, 0xFE2F},
                                              {0xE0100, 0xE01EF}}};

template <size_t N>
bool In(const std::array<WidthRange, N>& ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const WidthRange& r) { return r.first <= c && c <= r.last; });
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string TrimRight(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace

size_t DisplayWidth(std::string_view utf8) {
  const std::string text = ReplaceInvalidUtf8(utf8);
  size_t width = 0;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = NextCodePoint(text, at);
    width += In(kZero, c) ? 0 : In(kWide, c) ? 2 : 1;
  }
  return width;
}

std::string PadRight(std::string_view text, size_t width) {
  return std::string(text) + std::string(width - std::min(width, DisplayWidth(text)), ' ');
}

std::string PadLeft(std::string_view text, size_t width) {
  return std::string(width - std::min(width, DisplayWidth(text)), ' ') + std::string(text);
}

std::string Printable(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const size_t valid = std::min(FindInvalidUtf8(bytes), bytes.size());
    for (const char c : bytes.substr(0, valid)) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '\n') {
        out += "\\n";
      } else if (byte < 0x20 || byte == 0x7F) {
        out += fmt::format("\\x{:02X}", byte);
      } else {
        out += c;
      }
    }
    bytes.remove_prefix(valid);
    if (bytes.empty()) break;
    out += fmt::format("\\x{:02X}", static_cast<unsigned char>(bytes[0]));
    bytes.remove_prefix(1);
  }
  return out;
}

std::string TokenText(const Tokenizer* tokenizer, int32_t id) {
  if (tokenizer == nullptr || !tokenizer->Has(id)) return fmt::format("{}", id);
  return Printable(tokenizer->TokenBytes(id));
}

std::string Quoted(std::string_view printable) {
  return fmt::format("\"{}\"", printable);
}

Table::Table(std::vector<std::string> header, size_t left_columns) : left_columns_(left_columns) {
  rows_.push_back(std::move(header));
}

void Table::Add(std::vector<std::string> row) {
  row.resize(rows_.front().size());
  rows_.push_back(std::move(row));
}

std::string Table::Text() const {
  std::vector<size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (size_t c = 0; c < widths.size(); ++c) widths[c] = std::max(widths[c], DisplayWidth(row[c]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t c = 0; c < widths.size(); ++c) {
      if (c > 0) line += "  ";
      line += c < left_columns_ ? PadRight(row[c], widths[c]) : PadLeft(row[c], widths[c]);
    }
    out += TrimRight(std::move(line)) + "\n";
  }
  return out;
}

std::string SideBySide(const std::vector<std::string>& blocks, size_t columns) {
  constexpr size_t kApart = 3;
  std::string out;
  for (size_t first = 0; first < blocks.size();) {
    std::vector<std::vector<std::string>> lines;
    std::vector<size_t> widths;
    size_t total = 0, height = 0;
    for (size_t b = first; b < blocks.size(); ++b) {
      std::vector<std::string> block = Lines(blocks[b]);
      size_t width = 0;
      for (const std::string& line : block) width = std::max(width, DisplayWidth(line));
      if (b > first && total + kApart + width > columns) break;
      total += (b > first ? kApart : 0) + width;
      height = std::max(height, block.size());
      widths.push_back(width);
      lines.push_back(std::move(block));
    }
    if (first > 0) out += "\n";
    for (size_t y = 0; y < height; ++y) {
      std::string line;
      for (size_t b = 0; b < lines.size(); ++b) {
        if (b > 0) line += std::string(kApart, ' ');
        line += PadRight(y < lines[b].size() ? lines[b][y] : "", widths[b]);
      }
      out += TrimRight(std::move(line)) + "\n";
    }
    first += lines.size();
  }
  return out;
}

}  // namespace kinetok::cli
