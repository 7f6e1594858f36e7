#include "sim/interval.h"

#include <algorithm>
#include <cmath>

#include "kinetok/base/error.h"

namespace kinetok::sim {

Interval WilsonInterval(int64_t successes, int64_t trials) {
  if (successes < 0 || successes > trials) Fail("interval: {} successes in {} trials", successes, trials);
  if (trials == 0) return {};
  constexpr double kZ = 1.959963984540054;  // the 97.5th percentile of the normal distribution
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n, z2 = kZ * kZ / n;
  const double middle = (p + z2 / 2) / (1 + z2);
  const double half = kZ * std::sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2);
  // At the ends the formula gives 0 and 1 but for rounding.
  return {successes == 0 ? 0 : std::max(0.0, middle - half), successes == trials ? 1 : std::min(1.0, middle + half)};
}

}  // namespace kinetok::sim
