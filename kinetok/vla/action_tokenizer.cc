#include "kinetok/vla/action_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kinetok/base/error.h"

namespace kinetok {

ActionTokenizer::ActionTokenizer(int64_t vocab_end, int64_t bins) : vocab_end_(vocab_end), bins_(bins) {
  if (bins < 2 || bins > 65536) Fail("n_action_bins is {}, expected 2 to 65536", bins);
  if (vocab_end < bins)
    Fail("the vocabulary has {} ids before its padding, expected at least {} for actions", vocab_end, bins);
  // numpy's linspace: i times the step, then the start; the end is exact.
  const double step = 2.0 / static_cast<double>(bins - 1);
  for (int64_t i = 0; i < bins; ++i) edges_.push_back(static_cast<double>(i) * step + -1.0);
  edges_.back() = 1;
  for (int64_t i = 0; i + 1 < bins; ++i) centers_.push_back((edges_[i] + edges_[i + 1]) / 2);
}

int32_t ActionTokenizer::Encode(double value) const {
  if (std::isnan(value)) Fail("an action is NaN, expected a number");
  const double clipped = std::clamp(value, -1.0, 1.0);
  const auto i = std::upper_bound(edges_.begin(), edges_.end(), clipped) - edges_.begin();
  return static_cast<int32_t>(vocab_end_ - i);
}

int ActionTokenizer::Bin(int32_t id) const {
  return static_cast<int>(std::clamp<int64_t>(vocab_end_ - id - 1, 0, bins_ - 2));
}

std::vector<int32_t> ActionTokenizer::ids() const {
  std::vector<int32_t> out(bins_);
  std::iota(out.begin(), out.end(), first_id());
  return out;
}

}  // namespace kinetok
