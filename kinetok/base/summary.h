// What many measurements say together.
#pragma once

#include <cstdint>
#include <vector>

namespace kinetok {

struct Proportion {
  double value = 0, low = 0, high = 0;  // with Wilson's 95% interval (1927)
};
// Of none: 0, from 0 to 1. Throws Error unless 0 <= hits <= count.
Proportion MakeProportion(int64_t hits, int64_t count);

// The smallest of the values that `share` of them do not exceed (nearest rank); 0 of none.
double Percentile(std::vector<double> values, double share);

}  // namespace kinetok
