// The merging of byte pair encoding (Sennrich, Haddow, Birch 2016): of all neighbours the pair of lowest rank becomes
// one symbol, the leftmost first, until no pair is in the table.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kinetok/text/pair_table.h"

namespace kinetok {

class MergeTable {
 public:
  struct Merge {
    int32_t rank = 0, id = 0;  // what the pair becomes
  };
  explicit MergeTable(size_t expected = 8) : table_(expected) {}

  // A pair that is there takes the new values.
  void Set(int32_t left, int32_t right, Merge merge) { table_[{left, right}] = merge; }
  const Merge* Find(int32_t left, int32_t right) const { return table_.Find(left, right); }

  // Merges the symbols from ids[first] on. Symbols are not negative.
  void Apply(std::vector<int32_t>& ids, size_t first) const;

  // The same, and notes for each merged symbol the last pair that was found for it, used or not.
  using Origins = std::unordered_map<int32_t, std::pair<int32_t, int32_t>>;
  void Apply(std::vector<int32_t>& ids, size_t first, Origins& origins) const;

 private:
  void MergeShort(std::vector<int32_t>& ids, size_t first) const;
  void MergeLong(std::vector<int32_t>& ids, size_t first, Origins* origins) const;

  PairTable<Merge> table_;
};

}  // namespace kinetok
