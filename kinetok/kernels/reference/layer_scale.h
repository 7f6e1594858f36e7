// LayerScale in double precision, for tests and benchmarks.
#pragma once

#include <vector>

namespace kinetok::reference {

// y[i][c] = gamma[c] x[i][c]                                              x [rows, width]   gamma [width]
std::vector<double> LayerScale(const std::vector<double>& x, const std::vector<double>& gamma);

struct LayerScaleGradient {
  std::vector<double> dx, dgamma;
};
// The gradient of sum_ic dy[i][c] y[i][c].
LayerScaleGradient LayerScaleBackward(const std::vector<double>& dy, const std::vector<double>& x,
                                      const std::vector<double>& gamma);

}  // namespace kinetok::reference
