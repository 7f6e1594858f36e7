#include "kinetok/kernels/reference/activation.h"

#include <cmath>

namespace kinetok::reference {
namespace {

double Sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

double Activate(Activation f, double x) {
  if (f == Activation::kGeluTanh) {
    // 1 + tanh(u) written as 2 sigmoid(2 u), which keeps its digits where x is negative.
    return x * Sigmoid(2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
  }
  if (f == Activation::kGeluErf) return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  return x * Sigmoid(x);
}

double ActivateBackward(Activation f, double dy, double x) {
  if (f == Activation::kGeluTanh) {
    const double u = 2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
    const double du = 2 * std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
    return dy * (Sigmoid(u) + x * Sigmoid(u) * Sigmoid(-u) * du);  // sigmoid' = sigmoid (1 - sigmoid)
  }
  if (f == Activation::kGeluErf) {
    return dy * (0.5 * std::erfc(-x / std::sqrt(2.0)) + x * std::exp(-x * x / 2) / std::sqrt(2 * M_PI));
  }
  return dy * (Sigmoid(x) + x * Sigmoid(x) * Sigmoid(-x));
}

double SwiGlu(double gate, double up) {
  return Activate(Activation::kSilu, gate) * up;
}

SwiGluGradients SwiGluBackward(double dy, double gate, double up) {
  return {ActivateBackward(Activation::kSilu, dy * up, gate), dy * Activate(Activation::kSilu, gate)};
}

}  // namespace kinetok::reference
