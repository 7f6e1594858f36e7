#include "kinetok/text/merge_table.h"

#include <array>
#include <limits>
#include <queue>
#include <tuple>

namespace kinetok {
namespace {

constexpr int32_t kNoMerge = std::numeric_limits<int32_t>::max();
constexpr size_t kShortWord = 32;  // up to here a scan of all pairs beats a heap

}  // namespace

void MergeTable::Apply(std::vector<int32_t>& ids, size_t first) const {
  if (ids.size() - first <= kShortWord) {
    MergeShort(ids, first);
  } else {
    MergeLong(ids, first, nullptr);
  }
}

void MergeTable::Apply(std::vector<int32_t>& ids, size_t first, Origins& origins) const {
  MergeLong(ids, first, &origins);
}

void MergeTable::MergeShort(std::vector<int32_t>& ids, size_t first) const {
  size_t size = ids.size() - first;
  int32_t* const symbols = ids.data() + first;
  std::array<Merge, kShortWord> merges;  // of each symbol with the next one
  const auto look_up = [&](size_t i) {
    const Merge* merge = i + 1 < size ? table_.Find(symbols[i], symbols[i + 1]) : nullptr;
    merges[i] = merge != nullptr ? *merge : Merge{kNoMerge, 0};
  };
  for (size_t i = 0; i < size; ++i) look_up(i);
  while (size > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < size; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == kNoMerge) break;
    symbols[best] = merges[best].id;
    --size;
    for (size_t i = best + 1; i < size; ++i) {
      symbols[i] = symbols[i + 1];
      merges[i] = merges[i + 1];
    }
    look_up(best);
    if (best > 0) look_up(best - 1);
  }
  ids.resize(first + size);
}

void MergeTable::MergeLong(std::vector<int32_t>& ids, size_t first, Origins* origins) const {
  // The symbols as a linked list by position, and the possible merges in a heap. An entry is out of date when the two
  // symbols at its place have changed since.
  struct Symbol {
    int32_t id;
    size_t previous, next;
  };
  constexpr size_t kNone = std::numeric_limits<size_t>::max();
  constexpr int32_t kGone = -1;
  struct Entry {
    int32_t rank;
    size_t position;
    int32_t left, right, id;
    bool operator>(const Entry& other) const { return std::tie(rank, position) > std::tie(other.rank, other.position); }
  };
  std::vector<Symbol> symbols(ids.size() - first);
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap;
  const auto push = [&](size_t at) {
    const size_t next = symbols[at].next;
    if (next == kNone) return;
    if (const Merge* merge = table_.Find(symbols[at].id, symbols[next].id)) {
      heap.push({merge->rank, at, symbols[at].id, symbols[next].id, merge->id});
      if (origins != nullptr) (*origins)[merge->id] = {symbols[at].id, symbols[next].id};
    }
  };
  for (size_t i = 0; i < symbols.size(); ++i) {
    symbols[i] = {ids[first + i], i == 0 ? kNone : i - 1, i + 1 == symbols.size() ? kNone : i + 1};
  }
  for (size_t i = 0; i < symbols.size(); ++i) push(i);
  while (!heap.empty()) {
    const Entry top = heap.top();
    heap.pop();
    Symbol& left = symbols[top.position];
    if (left.id != top.left || left.next == kNone || symbols[left.next].id != top.right) continue;
    Symbol& right = symbols[left.next];
    left.id = top.id;
    right.id = kGone;
    left.next = right.next;
    if (left.next != kNone) symbols[left.next].previous = top.position;
    if (left.previous != kNone) push(left.previous);
    push(top.position);
  }
  size_t size = first;
  for (const Symbol& symbol : symbols) {
    if (symbol.id != kGone) ids[size++] = symbol.id;
  }
  ids.resize(size);
}

}  // namespace kinetok
