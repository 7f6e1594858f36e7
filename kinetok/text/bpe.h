// tokenizer.json's "BPE" model: byte pair encoding by ranked merges, over bytes (GPT-2) or characters (GPT-1, Llama 2
// in the form that Hugging Face converts it to).
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "kinetok/text/merge_table.h"
#include "kinetok/text/tokenizer_parts.h"

namespace kinetok {

struct BpeOptions {
  bool byte_level = false;     // a word's symbols are its bytes, written in GPT-2's alphabet (byte_alphabet.h)
  bool ignore_merges = false;  // a word that is a piece itself becomes that piece, whatever the merges say
  bool byte_fallback = false;  // a character without a piece becomes "<0xEC>" ...
  bool fuse_unk = false;       // unknown characters in a row become one unknown token
  std::string unk_token = {};  // empty: a character without a piece is an error
  std::string prefix = {};     // written before a character that does not begin its word ("##")
  std::string suffix = {};     // ... and after one that ends it ("</w>")
};

class Bpe : public TokenizerModel {
 public:
  using Merges = std::vector<std::pair<std::string, std::string>>;

  // Throws Error, beginning with `source`, when a merge names a piece that the vocabulary lacks.
  Bpe(Vocabulary vocabulary, const Merges& merges, BpeOptions options, std::string_view source);

  void Encode(std::string_view word, size_t offset, std::vector<int32_t>& ids) const override;
  OrderedJson Describe() const override;
  std::optional<int32_t> unk_id() const override { return unk_ < 0 ? std::nullopt : std::optional(unk_); }

  const BpeOptions& options() const { return options_; }
  Merges merges() const;  // without those that a later one of the same pair replaced
  bool HasAllBytes() const;
  // No piece that a merge makes goes on with "▁" after another character: a text may be cut before each run of them.
  bool MayCutBeforeSpaces() const;

 private:
  void EncodeBytes(std::string_view word, size_t offset, std::vector<int32_t>& ids) const;
  void EncodeCharacters(std::string_view word, size_t offset, std::vector<int32_t>& ids) const;
  int32_t CharacterId(std::string_view character, bool first, bool last) const;

  BpeOptions options_;
  std::array<int32_t, 256> byte_ids_{};  // of bytes or of their fallbacks; -1 where there is none
  int32_t unk_ = -1;
  std::vector<std::pair<int32_t, int32_t>> merges_;  // by rank
  MergeTable table_;
};

}  // namespace kinetok
