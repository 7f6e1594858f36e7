// Byte-level BPE (Radford et al. 2019, GPT-2; the merging is Sennrich, Haddow, Birch 2016): a text is cut into words,
// a word is taken as its UTF-8 bytes, and the pair of lowest rank is merged, leftmost first, until none is left.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "kinetok/text/tokenizer_parts.h"

namespace kinetok {

// GPT-2 writes the bytes in its vocabulary as printable characters: the space as "Ġ" (U+0120), "é" as "Ã©".
char32_t ByteCharacter(uint8_t byte);
int ByteOfCharacter(char32_t character);  // -1 for a character that stands for no byte

struct ByteLevelOptions {
  bool add_prefix_space = false;  // to every stretch of plain text that does not begin with one
  bool use_regex = true;          // cut by GPT-2's rule; otherwise a stretch is one word
  bool ignore_merges = false;     // a word that is a piece itself becomes that piece, whatever the merges say
};

class ByteLevelBpe : public TokenizerModel {
 public:
  using Merges = std::vector<std::pair<std::string, std::string>>;

  // Throws Error, beginning with `source`, when a merge names a piece that the vocabulary lacks.
  ByteLevelBpe(Vocabulary vocabulary, const Merges& merges, ByteLevelOptions options, std::string_view source);

  void Encode(std::string_view text, size_t offset, std::vector<int32_t>& ids) const override;
  void Decode(int32_t id, int32_t previous, std::string& bytes) const override;
  void Describe(OrderedJson& tokenizer) const override;

  bool HasAllBytes() const;

 private:
  struct Merge {
    int32_t rank = 0, id = 0;
  };
  void EncodeWord(std::string_view word, size_t offset, std::vector<int32_t>& ids) const;
  void MergeShort(std::vector<int32_t>& ids, size_t first) const;
  void MergeLong(std::vector<int32_t>& ids, size_t first) const;

  ByteLevelOptions options_;
  std::array<int32_t, 256> byte_ids_;                // -1 where the vocabulary lacks a byte
  std::vector<std::pair<int32_t, int32_t>> merges_;  // by rank
  PairTable<Merge> table_;
};

}  // namespace kinetok
