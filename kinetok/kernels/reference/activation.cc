#include "kinetok/kernels/reference/activation.h"

#include <cmath>

namespace kinetok::reference {

double Activate(Activation f, double x) {
  if (f == Activation::kGeluTanh) {
    // 1 + tanh(u) written as 2 / (1 + e^-2u), which keeps its digits where x is negative.
    const double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
    return x / (1 + std::exp(-2 * u));
  }
  if (f == Activation::kGeluErf) return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  return x / (1 + std::exp(-x));
}

}  // namespace kinetok::reference
