#include "kinetok/train/optimizer.h"

#include <cmath>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"
#include "kinetok/kernels/adamw.h"
#include "kinetok/kernels/elementwise.h"

namespace kinetok {

Optimizer::Optimizer(const ParameterList& list, const OptimizerOptions& options)
    : options_(options), m_(list.elements * 4), v_(list.elements * 4) {
  for (size_t i = 0; i < list.all.size(); ++i) {
    const int64_t end = i + 1 < list.all.size() ? list.all[i + 1].offset : list.elements;
    const bool decay = list.all[i].is_matrix();
    if (ranges_.empty() || ranges_.back().decay != decay) ranges_.push_back({list.all[i].offset, 0, decay});
    ranges_.back().count = end - ranges_.back().first;
  }
}

Optimizer::Optimizer(int64_t elements, const OptimizerOptions& options)
    : options_(options), ranges_{{0, elements, true}}, m_(elements * 4), v_(elements * 4) {}

double Optimizer::GradientNorm(Context& context, std::span<const float> gradients) {
  return std::sqrt(SumOfSquares(context, gradients));
}

void Optimizer::Step(Context& context, int64_t step, double learning_rate, double norm,
                     std::span<const float> gradients, std::span<float> weights) {
  KINETOK_CHECK(gradients.size() == m().size() && weights.size() == m().size() && step >= 1);
  AdamWStep update;
  update.learning_rate = static_cast<float>(learning_rate);
  update.beta1 = static_cast<float>(options_.beta1);
  update.beta2 = static_cast<float>(options_.beta2);
  update.eps = static_cast<float>(options_.eps);
  update.bias_correction1 = static_cast<float>(1 - Pow(options_.beta1, static_cast<double>(step)));
  update.bias_correction2 = static_cast<float>(1 - Pow(options_.beta2, static_cast<double>(step)));
  // torch.nn.utils.clip_grad_norm_ adds the same 1e-6.
  if (options_.grad_clip > 0 && norm > options_.grad_clip) {
    update.gradient_scale = static_cast<float>(options_.grad_clip / (norm + 1e-6));
  }
  for (const Range& range : ranges_) {
    update.weight_decay = range.decay ? static_cast<float>(options_.weight_decay) : 0.0f;
    const auto first = static_cast<size_t>(range.first), count = static_cast<size_t>(range.count);
    AdamW(context, update, gradients.subspan(first, count), weights.subspan(first, count), m().subspan(first, count),
          v().subspan(first, count));
  }
}

}  // namespace kinetok
