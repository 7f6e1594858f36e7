// LayerNorm and RMSNorm in double precision, for tests and benchmarks.
#pragma once

#include <vector>

#include "kinetok/tensor/views.h"

namespace kinetok::reference {

// [rows, width] each, row-major; `bias` may be empty. The shapes and formulas of kernels/norm.h.
std::vector<double> LayerNorm(const std::vector<double>& x, const std::vector<double>& weight,
                              const std::vector<double>& bias, double eps, int64_t rows, int64_t width);
std::vector<double> RmsNorm(const std::vector<double>& x, const std::vector<double>& weight, double eps, int64_t rows,
                            int64_t width);

struct NormGradients {
  std::vector<double> dx, dweight, dbias;  // dbias: LayerNorm's alone
};
// The gradients of sum_ic dy[i][c] y[i][c].
NormGradients LayerNormBackward(const std::vector<double>& dy, const std::vector<double>& x,
                                const std::vector<double>& weight, double eps, int64_t rows, int64_t width);
NormGradients RmsNormBackward(const std::vector<double>& dy, const std::vector<double>& x,
                              const std::vector<double>& weight, double eps, int64_t rows, int64_t width);

// What the kernels keep for the backward pass: of one row x [width].
double Mean(Span<const double> x);
double InverseStd(Span<const double> x, double eps);
double InverseRms(Span<const double> x, double eps);

}  // namespace kinetok::reference
