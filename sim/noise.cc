#include "sim/noise.h"

#include <algorithm>

#include "kinetok/base/error.h"
#include "sim/draws.h"

namespace kinetok::sim {
namespace {

constexpr int64_t kLongestBurst = 6, kShortestBurst = 3;
constexpr double kShift = 0.020, kTurn = 0.20;  // metres and radians, at most; tilt is hard to see, and stays
constexpr double kPull = 0.022, kTwist = 0.15;  // of a burst

// The numbers of one step: those of its shift, and of the burst that may begin in it.
Draws StepDraws(uint64_t seed, uint64_t episode, int64_t step) {
  return {seed, RandomStream::kNoise, (episode << 16) + static_cast<uint64_t>(step)};
}

void AddShift(ActionVector& action, Draws& draws) {
  for (size_t i = 0; i < 3; ++i) action[i] += draws.Uniform(-kShift, kShift);
  action[5] += draws.Uniform(-kTurn, kTurn);
  if (draws.Chance(0.05)) action[6] = 1 - action[6];
}

void AddBurst(ActionVector& action, Draws& draws) {
  for (size_t i = 0; i < 3; ++i) action[i] += draws.Uniform(-kPull, kPull);
  action[5] += draws.Uniform(-kTwist, kTwist);
  if (draws.Chance(1.0 / 3)) action[6] = 1 - action[6];
}

}  // namespace

ActionVector Disturb(const ActionVector& action, double level, uint64_t seed, uint64_t episode, int64_t step) {
  if (!(level >= 0 && level <= 1)) Fail("noise is {}; expected 0 to 1", level);
  ActionVector out = action;
  for (int64_t begin = std::max<int64_t>(0, step - kLongestBurst + 1); begin <= step; ++begin) {
    Draws draws = StepDraws(seed, episode, begin);
    const bool begins = draws.Chance(0.1 * level), shifted = draws.Chance(level);
    const auto length = static_cast<int64_t>(kShortestBurst + draws.Below(kLongestBurst - kShortestBurst + 1));
    if (begins && step < begin + length) AddBurst(out, draws);
    if (begin == step && shifted) AddShift(out, draws);
  }
  return out;
}

}  // namespace kinetok::sim
