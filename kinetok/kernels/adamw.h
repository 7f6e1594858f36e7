// AdamW with decoupled weight decay (Loshchilov & Hutter 2019), as torch.optim.AdamW computes it.
#pragma once

#include <cstdint>

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

struct AdamWStep {
  float learning_rate = 0, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0;
  float bias_correction1 = 1, bias_correction2 = 1;  // 1 - beta^step
  float gradient_scale = 1;                          // clipping: multiplies the gradient first
};

// w -= lr * weight_decay * w;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;
// w -= lr / bc1 * m / (sqrt(v) / sqrt(bc2) + eps)                                  w, g, m, v [n]
void AdamW(Context& context, const AdamWStep& step, Span<const float> gradient, Span<float> weight, Span<float> m,
           Span<float> v);

}  // namespace kinetok
