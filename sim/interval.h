// How far a share of successes may be from the truth.
#pragma once

#include <cstdint>

namespace kinetok::sim {

struct Interval {
  double low = 0, high = 1;
};

// The 95% score interval of a binomial share (Wilson 1927), which holds for few trials and shares near 0 and 1 too.
// Without trials, 0 to 1. Throws Error unless 0 <= successes <= trials.
Interval WilsonInterval(int64_t successes, int64_t trials);

}  // namespace kinetok::sim
