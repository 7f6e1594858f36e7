#include "kinetok/kernels/reference/matmul.h"

namespace kinetok::reference {

std::vector<double> Linear(const std::vector<double>& x, const std::vector<double>& w, const std::vector<double>& bias,
                           int64_t m, int64_t n, int64_t k) {
  std::vector<double> y(m * n);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = bias.empty() ? 0.0 : bias[j];
      for (int64_t c = 0; c < k; ++c) sum += x[i * k + c] * w[j * k + c];
      y[i * n + j] = sum;
    }
  }
  return y;
}

LinearGradients LinearBackward(const std::vector<double>& dy, const std::vector<double>& x,
                               const std::vector<double>& w, int64_t m, int64_t n, int64_t k) {
  LinearGradients g{std::vector<double>(m * k), std::vector<double>(n * k), std::vector<double>(n)};
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      g.dbias[j] += dy[i * n + j];
      for (int64_t c = 0; c < k; ++c) {
        g.dx[i * k + c] += dy[i * n + j] * w[j * k + c];
        g.dw[j * k + c] += dy[i * n + j] * x[i * k + c];
      }
    }
  }
  return g;
}

}  // namespace kinetok::reference
