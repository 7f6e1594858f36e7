// Words of a text and where their ids lie among those already encoded: most words of a long text have come before.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace kinetok {

class WordCache {
 public:
  static constexpr size_t kMaxWordBytes = 64;  // longer ones seldom come again

  struct Stretch {
    size_t begin = 0, size = 0;  // of the ids
  };

  WordCache() : slots_(kFewest) {}

  // The stretch of `word`, null when it is new.
  const Stretch* Find(std::string_view word) const {
    const Slot& slot = slots_[Probe(word, Hash(word))];
    return slot.used ? &slot.stretch : nullptr;
  }

  // Remembers a word that is new, until there are too many.
  void Add(std::string_view word, Stretch stretch) {
    if (used_ == kMost) return;
    if (2 * (used_ + 1) > slots_.size()) Grow();
    const uint64_t hash = Hash(word);
    slots_[Probe(word, hash)] = {hash, text_.size(), static_cast<uint32_t>(word.size()), true, stretch};
    text_ += word;
    ++used_;
  }

 private:
  static constexpr size_t kFewest = 64, kMost = size_t{1} << 18;

  struct Slot {
    uint64_t hash = 0;
    size_t begin = 0;  // in text_
    uint32_t size = 0;
    bool used = false;
    Stretch stretch;
  };

  static uint64_t Hash(std::string_view word) {
    constexpr uint64_t kFactor = 0x9E3779B97F4A7C15u;
    uint64_t hash = word.size() * kFactor;
    const char* bytes = word.data();
    size_t left = word.size();
    while (left > 0) {
      uint64_t block = 0;
      const size_t size = left < 8 ? left : 8;
      std::memcpy(&block, bytes, size);
      hash = (hash ^ block) * kFactor;
      hash ^= hash >> 29;
      bytes += size;
      left -= size;
    }
    return hash;
  }

  // The word's slot, or the free one where it belongs.
  size_t Probe(std::string_view word, uint64_t hash) const {
    const size_t mask = slots_.size() - 1;
    size_t i = static_cast<size_t>(hash) & mask;
    while (slots_[i].used && (slots_[i].hash != hash || slots_[i].size != word.size() ||
                              std::memcmp(text_.data() + slots_[i].begin, word.data(), word.size()) != 0)) {
      i = (i + 1) & mask;
    }
    return i;
  }

  void Grow() {
    std::vector<Slot> old(4 * slots_.size());
    old.swap(slots_);
    const size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (!slot.used) continue;
      size_t i = static_cast<size_t>(slot.hash) & mask;
      while (slots_[i].used) i = (i + 1) & mask;
      slots_[i] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::string text_;  // the words, one after another
  size_t used_ = 0;
};

}  // namespace kinetok
