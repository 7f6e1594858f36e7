// Text for a terminal whose columns line up, whatever script it is in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/text/tokenizer.h"

namespace kinetok::cli {

// The columns that UTF-8 text takes in a terminal: 2 for a Hangul syllable or another wide character, 0 for a
// combining mark.
size_t DisplayWidth(std::string_view utf8);
// Spaces until `width` columns, behind the text or before it.
std::string PadRight(std::string_view text, size_t width);
std::string PadLeft(std::string_view text, size_t width);

// Bytes on one line: a newline as \n, other control characters and bytes that are not UTF-8 as \xEA.
std::string Printable(std::string_view bytes);
// A token as it reads in the middle of a text, printable; its id without a tokenizer.
std::string TokenText(const Tokenizer* tokenizer, int32_t id);
std::string Quoted(std::string_view printable);  // "..."

// Cells in columns, two spaces apart: the first column flush left, the others flush right unless told.
class Table {
 public:
  explicit Table(std::vector<std::string> header, size_t left_columns = 1);
  void Add(std::vector<std::string> row);
  std::string Text() const;

 private:
  size_t left_columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Blocks of lines side by side, three spaces apart, in as many rows as `columns` ask for.
std::string SideBySide(const std::vector<std::string>& blocks, size_t columns);

}  // namespace kinetok::cli
