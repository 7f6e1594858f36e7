#include "kinetok/base/summary.h"

#include <algorithm>
#include <cmath>

#include "kinetok/base/error.h"

namespace kinetok {

Proportion MakeProportion(int64_t hits, int64_t count) {
  if (hits < 0 || hits > count) Fail("a proportion of {} in {}; expected at most as many", hits, count);
  if (count == 0) return {0, 0, 1};
  constexpr double kZ = 1.959963984540054;  // of 97.5%
  const auto n = static_cast<double>(count);
  const double p = static_cast<double>(hits) / n;
  const double centre = (p + kZ * kZ / (2 * n)) / (1 + kZ * kZ / n);
  const double half = kZ / (1 + kZ * kZ / n) * std::sqrt(p * (1 - p) / n + kZ * kZ / (4 * n * n));
  // At the ends the formula gives 0 and 1 but for rounding.
  return {p, hits == 0 ? 0 : std::max(0.0, centre - half), hits == count ? 1 : std::min(1.0, centre + half)};
}

double Percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<size_t>(rank, 1, values.size()) - 1];
}

}  // namespace kinetok
