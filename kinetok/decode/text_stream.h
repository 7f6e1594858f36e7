// Turns one sequence's tokens into text as they come: whole characters, up to a stop string.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kinetok/decode/stop_strings.h"
#include "kinetok/text/tokenizer.h"

namespace kinetok {

// A copy goes on by itself from where the original stood.
class TextStream {
 public:
  // The new text continues the prompt's. Without a tokenizer (null) there is no text and nothing matches.
  TextStream(const Tokenizer* tokenizer, std::span<const int32_t> prompt, const std::vector<std::string>& stop);

  std::string Push(int32_t id);                      // what became certain with this token
  std::string Finish();                              // what was held back
  bool matched() const { return stops_.matched(); }  // a stop string has ended the text

 private:
  std::string Decode(int32_t id);
  const Tokenizer* tokenizer_;
  std::optional<StreamDecoder> decoder_;
  StopStrings stops_;
};

}  // namespace kinetok
