// Where each buffer of a pass lives in one arena, by the times at which it holds something that is still needed.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace kinetok {

class ArenaPlan {
 public:
  // Declares a buffer of `floats` floats that must keep its contents during every [first, last] (inclusive) of `live`.
  // Returns its index.
  int Add(int64_t floats, std::vector<std::pair<int, int>> live);

  // Places all buffers: the largest first, each at the lowest offset where it overlaps no buffer that lives at the same
  // time. Offsets are multiples of 16 floats.
  void Place();

  int64_t offset(int buffer) const { return buffers_[buffer].offset; }
  int64_t total_floats() const { return total_; }

 private:
  struct Planned {
    int64_t floats = 0, offset = 0;
    std::vector<std::pair<int, int>> live;
  };
  std::vector<Planned> buffers_;
  int64_t total_ = 0;
};

}  // namespace kinetok
