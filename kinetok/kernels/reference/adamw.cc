#include "kinetok/kernels/reference/adamw.h"

#include <cmath>

namespace kinetok::reference {

void AdamW(const AdamWStep& step, double gradient, double* weight, double* m, double* v) {
  const double g = gradient * step.gradient_scale, beta1 = step.beta1, beta2 = step.beta2;
  *weight -= double{step.learning_rate} * step.weight_decay * *weight;
  *m = beta1 * *m + (1 - beta1) * g;
  *v = beta2 * *v + (1 - beta2) * g * g;
  *weight -= double{step.learning_rate} / step.bias_correction1 * *m /
             (std::sqrt(*v) / std::sqrt(double{step.bias_correction2}) + step.eps);
}

}  // namespace kinetok::reference
