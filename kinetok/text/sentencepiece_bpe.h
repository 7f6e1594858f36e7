// SentencePiece's BPE (google/sentencepiece, bpe_model.cc): of all neighbours whose text is a piece the pair with the
// best score is merged, the leftmost on ties; characters without a piece become their bytes, or unknown.
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "kinetok/text/merge_table.h"
#include "kinetok/text/tokenizer_parts.h"

namespace kinetok {

class SentencePieceBpe : public TokenizerModel {
 public:
  // Throws Error, beginning with `source`, on pieces that cannot be. `unk` is the id of the unknown piece.
  SentencePieceBpe(std::vector<SentencePiece> pieces, std::optional<int32_t> unk, std::string_view source);

  void Encode(std::string_view word, size_t offset, std::vector<int32_t>& ids) const override;
  // As Hugging Face converts it: the merges are all pairs of pieces that make a piece, the best score first.
  OrderedJson Describe() const override;
  std::optional<int32_t> unk_id() const override { return unk_ < 0 ? std::nullopt : std::optional(unk_); }

  const std::vector<SentencePiece>& pieces() const { return pieces_; }
  // No piece goes on with "▁" after another character: a text may be cut before each run of them.
  bool MayCutBeforeSpaces() const;

 private:
  struct Pair {
    int32_t left, right, merged;
  };
  std::vector<Pair> Pairs() const;  // whose text is a piece that merging makes
  int32_t Symbol(std::string_view text) const;
  void AppendSymbol(int32_t symbol, const MergeTable::Origins& origins, std::vector<int32_t>& ids) const;

  std::vector<SentencePiece> pieces_;
  int32_t unk_ = -1;
  bool has_bytes_ = false;
  bool makes_unused_ = false;  // a merge may end in an unused piece
  std::array<int32_t, 256> byte_ids_{};
  // Symbols are ids of pieces, and beyond them characters that pieces contain and that are no pieces themselves.
  std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>> symbols_;
  std::vector<std::string> characters_;
  MergeTable table_;
};

}  // namespace kinetok
