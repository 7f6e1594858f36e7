#include "kinetok/kernels/reference/rope.h"

#include <cmath>

namespace kinetok::reference {

std::vector<double> Rope(const std::vector<double>& x, int64_t position, double theta, bool inverse) {
  const size_t half = x.size() / 2;
  std::vector<double> y(x.size());
  for (size_t j = 0; j < half; ++j) {
    const double turned =
        static_cast<double>(position) * std::pow(theta, -2.0 * static_cast<double>(j) / static_cast<double>(x.size()));
    const double angle = inverse ? -turned : turned;
    y[j] = x[j] * std::cos(angle) - x[j + half] * std::sin(angle);
    y[j + half] = x[j + half] * std::cos(angle) + x[j] * std::sin(angle);
  }
  return y;
}

}  // namespace kinetok::reference
