// A hash table from pairs of ids to a value, for BPE: open addressing, linear probing, no removal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace kinetok {

template <class Value>
class PairTable {
 public:
  explicit PairTable(size_t expected = 8) {
    size_t capacity = 16;
    while (capacity < 2 * expected) capacity *= 2;
    slots_.resize(capacity);
  }

  size_t size() const { return size_; }

  const Value* Find(int32_t left, int32_t right) const {
    const Slot& slot = slots_[Probe(Key(left, right))];
    return slot.key == kEmpty ? nullptr : &slot.value;
  }

  // The value of the pair, default-made when the pair is new. Valid until the next call.
  Value& operator[](std::pair<int32_t, int32_t> pair) {
    if (2 * (size_ + 1) > slots_.size()) Grow();
    Slot& slot = slots_[Probe(Key(pair.first, pair.second))];
    if (slot.key == kEmpty) {
      slot.key = Key(pair.first, pair.second);
      ++size_;
    }
    return slot.value;
  }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};  // ids are not negative, so no pair has this key
  struct Slot {
    uint64_t key = kEmpty;
    Value value{};
  };

  static uint64_t Key(int32_t left, int32_t right) {
    return (uint64_t{static_cast<uint32_t>(left)} << 32) | static_cast<uint32_t>(right);
  }

  size_t Probe(uint64_t key) const {
    uint64_t hash = key * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
    const size_t mask = slots_.size() - 1;
    size_t i = static_cast<size_t>(hash) & mask;
    while (slots_[i].key != key && slots_[i].key != kEmpty) i = (i + 1) & mask;
    return i;
  }

  void Grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (Slot& slot : old) {
      if (slot.key != kEmpty) slots_[Probe(slot.key)] = std::move(slot);
    }
  }

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

}  // namespace kinetok
