#include "kinetok/model/arena_plan.h"

#include <algorithm>
#include <numeric>

#include "kinetok/base/checked.h"

namespace kinetok {
namespace {

bool LiveTogether(const std::vector<std::pair<int, int>>& a, const std::vector<std::pair<int, int>>& b) {
  for (const auto& [a_first, a_last] : a) {
    for (const auto& [b_first, b_last] : b) {
      if (a_first <= b_last && b_first <= a_last) return true;
    }
  }
  return false;
}

}  // namespace

int ArenaPlan::Add(int64_t floats, std::vector<std::pair<int, int>> live) {
  buffers_.push_back({RoundUp(floats, 16), 0, std::move(live)});
  return static_cast<int>(buffers_.size()) - 1;
}

void ArenaPlan::Place() {
  std::vector<int> order(buffers_.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return buffers_[a].floats > buffers_[b].floats; });
  std::vector<int> placed;
  for (const int index : order) {
    Planned& b = buffers_[index];
    std::vector<std::pair<int64_t, int64_t>> taken;  // [begin, end) of what lives at the same time
    for (const int other : placed) {
      const Planned& o = buffers_[other];
      if (LiveTogether(b.live, o.live)) taken.emplace_back(o.offset, o.offset + o.floats);
    }
    std::sort(taken.begin(), taken.end());
    b.offset = 0;
    for (const auto& [begin, end] : taken) {
      if (b.offset + b.floats <= begin) break;
      b.offset = std::max(b.offset, end);
    }
    total_ = std::max(total_, b.offset + b.floats);
    placed.push_back(index);
  }
}

}  // namespace kinetok
