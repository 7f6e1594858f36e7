#include "kinetok/kernels/cross_entropy.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/lane_loop.h"
#include "kinetok/kernels/cpu/simd_math.h"

namespace kinetok::KINETOK_TARGET {

// The row's maximum. A NaN may be overlooked here: the sum of exponentials then is one.
KINETOK_INLINE float RowMax(const float* x, int64_t width) {
  const float low = -__builtin_inff();
  F32x16 m0 = Set(low), m1 = m0, m2 = m0, m3 = m0;
  int64_t c = 0;
  for (; c + 4 * kLanes <= width; c += 4 * kLanes) {
    m0 = Max(m0, Load(x + c));
    m1 = Max(m1, Load(x + c + kLanes));
    m2 = Max(m2, Load(x + c + 2 * kLanes));
    m3 = Max(m3, Load(x + c + 3 * kLanes));
  }
  ForLanes(
      c, width, [&](int64_t column, auto part) __attribute__((always_inline)) {
        m0 = Max(m0, Fill(Load(x + column, part), low, part));
      });
  return ReduceMax(Max(Max(m0, m1), Max(m2, m3)));
}

KINETOK_INLINE float LogOf(float x) {
  float lanes[kLanes];
  Store(lanes, Log(Set(x)));
  return lanes[0];
}

void CrossEntropy(Context& context, Span<const int32_t> labels, Span<const float> weights, Rows<float> logits,
                  Span<float> losses) {
  const int64_t width = logits.width;
  const int32_t* label_of = labels.data();
  const float* weight_of = weights.empty() ? nullptr : weights.data();
  float* loss_of = losses.data();
  ParallelFor(context, logits.rows, RowGrain(width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      float* x = logits[i];
      const int64_t label = label_of[i];
      if (label < 0) {
        loss_of[i] = 0;
        if (weight_of != nullptr) {
          ForLanes(
              0, width, [&](int64_t c, auto part) __attribute__((always_inline)) { Store(x + c, Zero(), part); });
        }
        continue;
      }
      const float at_label = x[label], max = RowMax(x, width);
      const F32x16 m = Set(max);
      // With a gradient to come, the exponentials are left in the row on the way.
      const F32x16 sums = SumLanes(
          width, [&](F32x16 a, int64_t c, auto part) __attribute__((always_inline)) {
            const F32x16 e = Fill(Exp(Sub(Load(x + c, part), m)), 0.0f, part);
            if (weight_of != nullptr) Store(x + c, e, part);
            return Add(a, e);
          });
      const float sum = ReduceSum(sums);
      loss_of[i] = (max - at_label) + LogOf(sum);
      if (weight_of == nullptr) continue;
      const F32x16 scale = Set(weight_of[i] / sum);
      ForLanes(
          0, width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            Store(x + c, Mul(Load(x + c, part), scale), part);
          });
      x[label] -= weight_of[i];
    }
  });
}

void LogSoftmax(Context& context, Rows<const float> logits, Rows<float> y) {
  const int64_t width = logits.width;
  ParallelFor(context, logits.rows, RowGrain(width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float* x = logits[i];
      float* out = y[i];
      const F32x16 m = Set(RowMax(x, width));
      const F32x16 sums = SumLanes(
          width, [&](F32x16 a, int64_t c, auto part) __attribute__((always_inline)) {
            return Add(a, Fill(Exp(Sub(Load(x + c, part), m)), 0.0f, part));
          });
      const F32x16 log_sum = Log(Set(ReduceSum(sums)));
      ForLanes(
          0, width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            Store(out + c, Sub(Sub(Load(x + c, part), m), log_sum), part);
          });
    }
  });
}

}  // namespace kinetok::KINETOK_TARGET

#else

namespace kinetok {

KINETOK_DECLARE(void, CrossEntropy,
                (Context & context, Span<const int32_t> labels, Span<const float> weights, Rows<float> logits,
                 Span<float> losses))
void CrossEntropy(Context& context, Span<const int32_t> labels, Span<const float> weights, Rows<float> logits,
                  Span<float> losses) {
  KINETOK_CALL(CrossEntropy, context, labels, weights, logits, losses);
}

KINETOK_DECLARE(void, LogSoftmax, (Context & context, Rows<const float> logits, Rows<float> y))
void LogSoftmax(Context& context, Rows<const float> logits, Rows<float> y) {
  KINETOK_CALL(LogSoftmax, context, logits, y);
}

}  // namespace kinetok

#endif
