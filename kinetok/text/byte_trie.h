// Texts as a trie of bytes: finds the longest one that a text begins with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kinetok/text/pair_table.h"

namespace kinetok {

class ByteTrie {
 public:
  // `text` stands for `value` >= 0; a later value takes the place of an earlier one.
  void Add(std::string_view text, int32_t value) {
    if (text.empty()) return;
    int32_t node = 0;
    for (const char c : text) {
      int32_t& next = next_[{node, static_cast<uint8_t>(c)}];
      if (next == 0) {
        next = static_cast<int32_t>(values_.size());
        values_.push_back(-1);
      }
      node = next;
    }
    values_[static_cast<size_t>(node)] = value;
    starts_[static_cast<uint8_t>(text[0])] = true;
  }

  bool empty() const { return values_.size() == 1; }

  // Whether a text begins with this byte.
  bool Starts(char byte) const { return starts_[static_cast<uint8_t>(byte)]; }

  // The node that `text` leads to from the root, -1 when there is none.
  int32_t Node(std::string_view text) const {
    int32_t node = 0;
    for (const char c : text) {
      const int32_t* next = next_.Find(node, static_cast<uint8_t>(c));
      if (next == nullptr) return -1;
      node = *next;
    }
    return node;
  }

  struct Match {
    int32_t value = -1;  // -1: none
    size_t size = 0;
  };
  // The longest text, without what leads to `node`, that `text` begins with.
  Match Longest(std::string_view text, int32_t node = 0) const {
    Match longest;
    for (size_t i = 0; i < text.size(); ++i) {
      const int32_t* next = next_.Find(node, static_cast<uint8_t>(text[i]));
      if (next == nullptr) break;
      node = *next;
      if (values_[static_cast<size_t>(node)] >= 0) longest = {values_[static_cast<size_t>(node)], i + 1};
    }
    return longest;
  }

 private:
  PairTable<int32_t> next_;  // (node, byte) -> node; the root is 0
  std::vector<int32_t> values_ = {-1};
  bool starts_[256] = {};
};

}  // namespace kinetok
