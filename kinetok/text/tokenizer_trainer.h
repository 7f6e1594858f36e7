// Tokenizers made from text. Both are deterministic: the same texts and options give the same tokenizer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/text/tokenizer.h"

namespace kinetok {

struct BytesBpeOptions {
  int32_t vocab_size = 8192;  // at least 256 + special tokens; fewer come out when the texts run out of pairs
  int64_t min_frequency = 2;  // pairs seen less often are not merged
  std::vector<std::string> special_tokens = {"<|endoftext|>"};
};

// Byte-level BPE with GPT-2's split rule. Ids: special tokens, the 256 bytes in the order of their characters, then
// merges; the most frequent pair first and the lower pair of ids on ties, as Hugging Face's BpeTrainer does.
class BytesBpeTrainer {
 public:
  explicit BytesBpeTrainer(BytesBpeOptions options = {});  // throws Error on options that cannot work
  ~BytesBpeTrainer();
  // One document. Words never cross documents or special tokens typed in them. Throws Error on invalid UTF-8.
  void Add(std::string_view utf8);
  std::shared_ptr<const Tokenizer> Train() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One token a character, ids in the order of code points (as nanoGPT's character data), special tokens after them.
class CharTrainer {
 public:
  explicit CharTrainer(std::vector<std::string> special_tokens = {});
  void Add(std::string_view utf8);                 // throws Error on invalid UTF-8
  std::shared_ptr<const Tokenizer> Train() const;  // throws Error when no character was added

 private:
  std::vector<std::string> special_tokens_;
  std::vector<bool> seen_;
};

}  // namespace kinetok
