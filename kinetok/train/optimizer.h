// AdamW over the flat array of all parameters, with clipping by the global norm.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/model/parameters.h"
#include "kinetok/tensor/buffer.h"

namespace kinetok {

struct OptimizerOptions {
  double beta1 = 0.9, beta2 = 0.99, eps = 1e-8;
  double weight_decay = 0.1;  // of matrices, embeddings included; never of biases and norms (nanoGPT's rule)
  double grad_clip = 1.0;     // the largest global norm of the gradient; 0: no limit
};

class Optimizer {
 public:
  Optimizer(const ParameterList& list, const OptimizerOptions& options);
  // Of an array of nothing but matrices: a LoRA adapter.
  Optimizer(int64_t elements, const OptimizerOptions& options);

  // sqrt(sum of squares) of all gradients, in double and in a fixed order. Not finite when a gradient is not.
  static double GradientNorm(Context& context, std::span<const float> gradients);

  // One update. `step` counts from 1 (bias correction), `norm` is GradientNorm of `gradients`. Flat [list.elements].
  void Step(Context& context, int64_t step, double learning_rate, double norm, std::span<const float> gradients,
            std::span<float> weights);

  std::span<float> m() { return m_.As<float>(); }  // [list.elements], first moments
  std::span<float> v() { return v_.As<float>(); }  // second moments

 private:
  struct Range {
    int64_t first = 0, count = 0;
    bool decay = false;
  };
  OptimizerOptions options_;
  std::vector<Range> ranges_;  // consecutive parameters of one kind
  Buffer m_, v_;
};

}  // namespace kinetok
