#include "kinetok/kernels/adamw.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/lane_loop.h"

namespace kinetok::KINETOK_TARGET {

// One pass: four reads and three writes an element.
void AdamW(Context& context, const AdamWStep& step, Span<const float> gradient, Span<float> weight, Span<float> m,
           Span<float> v) {
  const float* g = gradient.data();
  float *w = weight.data(), *m1 = m.data(), *m2 = v.data();
  const F32x16 scale = Set(step.gradient_scale), beta1 = Set(step.beta1), beta2 = Set(step.beta2);
  const F32x16 rest1 = Set(1.0f - step.beta1), rest2 = Set(1.0f - step.beta2), eps = Set(step.eps);
  const F32x16 keep = Set(1.0f - step.learning_rate * step.weight_decay);
  const F32x16 rate = Set(step.learning_rate / step.bias_correction1);
  const F32x16 root = Set(1.0f / __builtin_sqrtf(step.bias_correction2));
  constexpr int64_t kPiece = 32768;
  ParallelFor(context, static_cast<int64_t>(weight.size()), kPiece, [&](int64_t first, int64_t last, int) {
    ForLanes(
        first, last, [&](int64_t c, auto part) __attribute__((always_inline)) {
          const F32x16 gc = Mul(Load(g + c, part), scale);
          const F32x16 mc = Fma(beta1, Load(m1 + c, part), Mul(rest1, gc));
          const F32x16 vc = Fma(beta2, Load(m2 + c, part), Mul(rest2, Mul(gc, gc)));
          const F32x16 update = Div(mc, Fma(Sqrt(vc), root, eps));
          Store(w + c, Fnma(rate, update, Mul(Load(w + c, part), keep)), part);
          Store(m1 + c, mc, part);
          Store(m2 + c, vc, part);
        });
  });
}

}  // namespace kinetok::KINETOK_TARGET

#else

namespace kinetok {

KINETOK_DECLARE(void, AdamW,
                (Context & context, const AdamWStep& step, Span<const float> gradient, Span<float> weight,
                 Span<float> m, Span<float> v))
void AdamW(Context& context, const AdamWStep& step, Span<const float> gradient, Span<float> weight, Span<float> m,
           Span<float> v) {
  KINETOK_CALL(AdamW, context, step, gradient, weight, m, v);
}

}  // namespace kinetok

#endif
