#include "kinetok/kernels/reference/norm.h"

#include <cmath>

namespace kinetok::reference {

std::vector<double> LayerNorm(const std::vector<double>& x, const std::vector<double>& weight,
                              const std::vector<double>& bias, double eps, int64_t rows, int64_t width) {
  std::vector<double> y(x.size());
  for (int64_t i = 0; i < rows; ++i) {
    double mean = 0, variance = 0;
    for (int64_t c = 0; c < width; ++c) mean += x[i * width + c];
    mean /= static_cast<double>(width);
    for (int64_t c = 0; c < width; ++c) variance += (x[i * width + c] - mean) * (x[i * width + c] - mean);
    variance /= static_cast<double>(width);
    for (int64_t c = 0; c < width; ++c) {
      y[i * width + c] =
          (x[i * width + c] - mean) / std::sqrt(variance + eps) * weight[c] + (bias.empty() ? 0 : bias[c]);
    }
  }
  return y;
}

std::vector<double> RmsNorm(const std::vector<double>& x, const std::vector<double>& weight, double eps, int64_t rows,
                            int64_t width) {
  std::vector<double> y(x.size());
  for (int64_t i = 0; i < rows; ++i) {
    double squares = 0;
    for (int64_t c = 0; c < width; ++c) squares += x[i * width + c] * x[i * width + c];
    const double rms = std::sqrt(squares / static_cast<double>(width) + eps);
    for (int64_t c = 0; c < width; ++c) y[i * width + c] = weight[c] * x[i * width + c] / rms;
  }
  return y;
}

}  // namespace kinetok::reference
