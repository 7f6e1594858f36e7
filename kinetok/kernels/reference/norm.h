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

}  // namespace kinetok::reference
