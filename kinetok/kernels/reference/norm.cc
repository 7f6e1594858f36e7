#include "kinetok/kernels/reference/norm.h"

#include <cmath>

namespace kinetok::reference {
namespace {

Span<const double> Row(const std::vector<double>& x, int64_t i, int64_t width) {
  return {x.data() + i * width, static_cast<size_t>(width)};
}

}  // namespace

double Mean(Span<const double> x) {
  double sum = 0;
  for (const double v : x) sum += v;
  return sum / static_cast<double>(x.size());
}

double InverseStd(Span<const double> x, double eps) {
  const double mean = Mean(x);
  double squares = 0;
  for (const double v : x) squares += (v - mean) * (v - mean);
  return 1 / std::sqrt(squares / static_cast<double>(x.size()) + eps);
}

double InverseRms(Span<const double> x, double eps) {
  double squares = 0;
  for (const double v : x) squares += v * v;
  return 1 / std::sqrt(squares / static_cast<double>(x.size()) + eps);
}

std::vector<double> LayerNorm(const std::vector<double>& x, const std::vector<double>& weight,
                              const std::vector<double>& bias, double eps, int64_t rows, int64_t width) {
  std::vector<double> y(x.size());
  for (int64_t i = 0; i < rows; ++i) {
    const double mean = Mean(Row(x, i, width)), inverse = InverseStd(Row(x, i, width), eps);
    for (int64_t c = 0; c < width; ++c) {
      y[i * width + c] = (x[i * width + c] - mean) * inverse * weight[c] + (bias.empty() ? 0 : bias[c]);
    }
  }
  return y;
}

std::vector<double> RmsNorm(const std::vector<double>& x, const std::vector<double>& weight, double eps, int64_t rows,
                            int64_t width) {
  std::vector<double> y(x.size());
  for (int64_t i = 0; i < rows; ++i) {
    const double inverse = InverseRms(Row(x, i, width), eps);
    for (int64_t c = 0; c < width; ++c) y[i * width + c] = x[i * width + c] * inverse * weight[c];
  }
  return y;
}

// With z = (x - mean) / std and a = dy weight:  dx = (a - mean(a) - z mean(z a)) / std.
NormGradients LayerNormBackward(const std::vector<double>& dy, const std::vector<double>& x,
                                const std::vector<double>& weight, double eps, int64_t rows, int64_t width) {
  NormGradients out = {std::vector<double>(x.size()), std::vector<double>(width), std::vector<double>(width)};
  for (int64_t i = 0; i < rows; ++i) {
    const Span<const double> xi = Row(x, i, width), gi = Row(dy, i, width);
    const double mean = Mean(xi), inverse = InverseStd(xi, eps);
    double sum = 0, dot = 0;
    for (int64_t c = 0; c < width; ++c) {
      const double z = (xi[c] - mean) * inverse;
      sum += gi[c] * weight[c];
      dot += z * gi[c] * weight[c];
      out.dweight[c] += gi[c] * z;
      out.dbias[c] += gi[c];
    }
    const auto n = static_cast<double>(width);
    for (int64_t c = 0; c < width; ++c) {
      const double z = (xi[c] - mean) * inverse;
      out.dx[i * width + c] = (gi[c] * weight[c] - sum / n - z * dot / n) * inverse;
    }
  }
  return out;
}

// With z = x / rms and a = dy weight:  dx = (a - z mean(z a)) / rms.
NormGradients RmsNormBackward(const std::vector<double>& dy, const std::vector<double>& x,
                              const std::vector<double>& weight, double eps, int64_t rows, int64_t width) {
  NormGradients out = {std::vector<double>(x.size()), std::vector<double>(width), {}};
  for (int64_t i = 0; i < rows; ++i) {
    const Span<const double> xi = Row(x, i, width), gi = Row(dy, i, width);
    const double inverse = InverseRms(xi, eps);
    double dot = 0;
    for (int64_t c = 0; c < width; ++c) {
      const double z = xi[c] * inverse;
      dot += z * gi[c] * weight[c];
      out.dweight[c] += gi[c] * z;
    }
    const auto n = static_cast<double>(width);
    for (int64_t c = 0; c < width; ++c) {
      out.dx[i * width + c] = (gi[c] * weight[c] - xi[c] * inverse * dot / n) * inverse;
    }
  }
  return out;
}

}  // namespace kinetok::reference
