// The matrix products in double precision, as plain as they are written.
#pragma once

#include <cstdint>
#include <vector>

namespace kinetok::reference {

// y[m][n] = bias[n] + sum_k x[m][k] w[n][k]          x [M, K]   w [N, K]   bias [N] or empty
std::vector<double> Linear(const std::vector<double>& x, const std::vector<double>& w, const std::vector<double>& bias,
                           int64_t m, int64_t n, int64_t k);

struct LinearGradients {
  std::vector<double> dx, dw, dbias;
};
// The gradients of sum_mn dy[m][n] y[m][n].
LinearGradients LinearBackward(const std::vector<double>& dy, const std::vector<double>& x,
                               const std::vector<double>& w, int64_t m, int64_t n, int64_t k);

}  // namespace kinetok::reference
