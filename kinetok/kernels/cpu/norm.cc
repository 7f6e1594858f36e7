#include "kinetok/kernels/norm.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/lane_loop.h"

namespace kinetok::KINETOK_TARGET {

void LayerNorm(Context& context, Rows<const float> x, Span<const float> weight, Span<const float> bias, float eps,
               Rows<float> y, Span<float> mean, Span<float> inv_std) {
  const int64_t width = x.width;
  const auto count = static_cast<float>(width);
  const float *w = weight.data(), *b = bias.empty() ? nullptr : bias.data();
  ParallelFor(context, x.rows, RowGrain(width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float* in = x[i];
      float* out = y[i];
      const F32x16 sum = SumLanes(
          width, [&](F32x16 a, int64_t c, auto part)
                     __attribute__((always_inline)) { return Add(a, Load(in + c, part)); });
      const float row_mean = ReduceSum(sum) / count;
      const F32x16 m = Set(row_mean);
      const F32x16 squares = SumLanes(
          width, [&](F32x16 a, int64_t c, auto part) __attribute__((always_inline)) {
            const F32x16 d = Fill(Sub(Load(in + c, part), m), 0.0f, part);
            return Fma(d, d, a);
          });
      const float row_inv = 1.0f / __builtin_sqrtf(ReduceSum(squares) / count + eps);
      const F32x16 inv = Set(row_inv);
      ForLanes(
          0, width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            const F32x16 normal = Mul(Sub(Load(in + c, part), m), inv), scale = Load(w + c, part);
            Store(out + c, b != nullptr ? Fma(normal, scale, Load(b + c, part)) : Mul(normal, scale), part);
          });
      if (!mean.empty()) mean.data()[i] = row_mean;
      if (!inv_std.empty()) inv_std.data()[i] = row_inv;
    }
  });
}

void LayerNormBackward(Context& context, Rows<const float> dy, Rows<const float> x, Span<const float> weight,
                       Span<const float> mean, Span<const float> inv_std, bool accumulate, Rows<float> dx,
                       Span<float> dweight, Span<float> dbias) {
  const int64_t width = x.width, rows = x.rows, blocks = (width + kColumnBlock - 1) / kColumnBlock;
  const float *w = weight.data(), *means = mean.data(), *invs = inv_std.data();
  const auto count = static_cast<float>(width);
  float *dw = dweight.data(), *db = dbias.empty() ? nullptr : dbias.data();

  // The weights first, so that dx may be dy. Four vectors of a column block stay in registers over all rows.
  ParallelFor(context, blocks, ColumnGrain(rows, width), [&](int64_t first, int64_t last, int) {
    const auto columns = [&](int64_t c, auto part) __attribute__((always_inline)) {
      F32x16 sum_w = Load(dw + c, part), sum_b = db != nullptr ? Load(db + c, part) : Zero();
      for (int64_t i = 0; i < rows; ++i) {
        const F32x16 g = Load(dy[i] + c, part);
        sum_w = Fma(g, Mul(Sub(Load(x[i] + c, part), Set(means[i])), Set(invs[i])), sum_w);
        sum_b = Add(sum_b, g);
      }
      Store(dw + c, sum_w, part);
      if (db != nullptr) Store(db + c, sum_b, part);
    };
    int64_t c = first * kColumnBlock;
    const int64_t end = last * kColumnBlock < width ? last * kColumnBlock : width;
    for (; c + kColumnBlock <= end; c += kColumnBlock) {
      F32x16 sum_w[4], sum_b[4];
      for (int j = 0; j < 4; ++j) {
        sum_w[j] = Load(dw + c + j * kLanes);
        sum_b[j] = db != nullptr ? Load(db + c + j * kLanes) : Zero();
      }
      for (int64_t i = 0; i < rows; ++i) {
        const F32x16 m = Set(means[i]), inv = Set(invs[i]);
        const float *g = dy[i] + c, *in = x[i] + c;
        for (int j = 0; j < 4; ++j) {
          const F32x16 gj = Load(g + j * kLanes);
          sum_w[j] = Fma(gj, Mul(Sub(Load(in + j * kLanes), m), inv), sum_w[j]);
          sum_b[j] = Add(sum_b[j], gj);
        }
      }
      for (int j = 0; j < 4; ++j) {
        Store(dw + c + j * kLanes, sum_w[j]);
        if (db != nullptr) Store(db + c + j * kLanes, sum_b[j]);
      }
    }
    ForLanes(c, end, columns);
  });

  ParallelFor(context, rows, RowGrain(width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float *g = dy[i], *in = x[i];
      float* out = dx[i];
      const F32x16 m = Set(means[i]), inv = Set(invs[i]);
      const F32x16 sum = SumLanes(
          width, [&](F32x16 a, int64_t c, auto part)
                     __attribute__((always_inline)) { return Fma(Load(g + c, part), Load(w + c, part), a); });
      const F32x16 dot = SumLanes(
          width, [&](F32x16 a, int64_t c, auto part) __attribute__((always_inline)) {
            const F32x16 normal = Mul(Sub(Load(in + c, part), m), inv);
            return Fma(Fill(normal, 0.0f, part), Mul(Load(g + c, part), Load(w + c, part)), a);
          });
      const F32x16 mean_sum = Set(ReduceSum(sum) / count), mean_dot = Set(ReduceSum(dot) / count);
      ForLanes(
          0, width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            const F32x16 normal = Mul(Sub(Load(in + c, part), m), inv);
            F32x16 d = Sub(Mul(Load(g + c, part), Load(w + c, part)), mean_sum);
            d = Mul(Fnma(normal, mean_dot, d), inv);
            Store(out + c, accumulate ? Add(Load(out + c, part), d) : d, part);
          });
    }
  });
}

void RmsNorm(Context& context, Rows<const float> x, Span<const float> weight, float eps, Rows<float> y,
             Span<float> inv_rms) {
  const int64_t width = x.width;
  const auto count = static_cast<float>(width);
  const float* w = weight.data();
  ParallelFor(context, x.rows, RowGrain(width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float* in = x[i];
      float* out = y[i];
      const F32x16 squares = SumLanes(
          width, [&](F32x16 a, int64_t c, auto part) __attribute__((always_inline)) {
            const F32x16 v = Load(in + c, part);
            return Fma(v, v, a);
          });
      const float row_inv = 1.0f / __builtin_sqrtf(ReduceSum(squares) / count + eps);
      const F32x16 inv = Set(row_inv);
      ForLanes(
          0, width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            Store(out + c, Mul(Mul(Load(in + c, part), inv), Load(w + c, part)), part);
          });
      if (!inv_rms.empty()) inv_rms.data()[i] = row_inv;
    }
  });
}

void RmsNormBackward(Context& context, Rows<const float> dy, Rows<const float> x, Span<const float> weight,
                     Span<const float> inv_rms, bool accumulate, Rows<float> dx, Span<float> dweight) {
  const int64_t width = x.width, rows = x.rows, blocks = (width + kColumnBlock - 1) / kColumnBlock;
  const float *w = weight.data(), *invs = inv_rms.data();
  const auto count = static_cast<float>(width);
  float* dw = dweight.data();

  ParallelFor(context, blocks, ColumnGrain(rows, width), [&](int64_t first, int64_t last, int) {
    const auto columns = [&](int64_t c, auto part) __attribute__((always_inline)) {
      F32x16 sum = Load(dw + c, part);
      for (int64_t i = 0; i < rows; ++i) {
        sum = Fma(Load(dy[i] + c, part), Mul(Load(x[i] + c, part), Set(invs[i])), sum);
      }
      Store(dw + c, sum, part);
    };
    ForLanes(first * kColumnBlock, last * kColumnBlock < width ? last * kColumnBlock : width, columns);
  });

  ParallelFor(context, rows, RowGrain(width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float *g = dy[i], *in = x[i];
      float* out = dx[i];
      const F32x16 inv = Set(invs[i]);
      const F32x16 dot = SumLanes(
          width, [&](F32x16 a, int64_t c, auto part) __attribute__((always_inline)) {
            return Fma(Mul(Load(in + c, part), inv), Mul(Load(g + c, part), Load(w + c, part)), a);
          });
      const F32x16 mean_dot = Set(ReduceSum(dot) / count);
      ForLanes(
          0, width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            const F32x16 normal = Mul(Load(in + c, part), inv);
            const F32x16 d = Mul(Fnma(normal, mean_dot, Mul(Load(g + c, part), Load(w + c, part))), inv);
            Store(out + c, accumulate ? Add(Load(out + c, part), d) : d, part);
          });
    }
  });
}

}  // namespace kinetok::KINETOK_TARGET

#else

namespace kinetok {

KINETOK_DECLARE(void, LayerNorm,
                (Context & context, Rows<const float> x, Span<const float> weight, Span<const float> bias, float eps,
                 Rows<float> y, Span<float> mean, Span<float> inv_std))
void LayerNorm(Context& context, Rows<const float> x, Span<const float> weight, Span<const float> bias, float eps,
               Rows<float> y, Span<float> mean, Span<float> inv_std) {
  KINETOK_CALL(LayerNorm, context, x, weight, bias, eps, y, mean, inv_std);
}

KINETOK_DECLARE(void, LayerNormBackward,
                (Context & context, Rows<const float> dy, Rows<const float> x, Span<const float> weight,
                 Span<const float> mean, Span<const float> inv_std, bool accumulate, Rows<float> dx,
                 Span<float> dweight, Span<float> dbias))
void LayerNormBackward(Context& context, Rows<const float> dy, Rows<const float> x, Span<const float> weight,
                       Span<const float> mean, Span<const float> inv_std, bool accumulate, Rows<float> dx,
                       Span<float> dweight, Span<float> dbias) {
  KINETOK_CALL(LayerNormBackward, context, dy, x, weight, mean, inv_std, accumulate, dx, dweight, dbias);
}

KINETOK_DECLARE(void, RmsNorm,
                (Context & context, Rows<const float> x, Span<const float> weight, float eps, Rows<float> y,
                 Span<float> inv_rms))
void RmsNorm(Context& context, Rows<const float> x, Span<const float> weight, float eps, Rows<float> y,
             Span<float> inv_rms) {
  KINETOK_CALL(RmsNorm, context, x, weight, eps, y, inv_rms);
}

KINETOK_DECLARE(void, RmsNormBackward,
                (Context & context, Rows<const float> dy, Rows<const float> x, Span<const float> weight,
                 Span<const float> inv_rms, bool accumulate, Rows<float> dx, Span<float> dweight))
void RmsNormBackward(Context& context, Rows<const float> dy, Rows<const float> x, Span<const float> weight,
                     Span<const float> inv_rms, bool accumulate, Rows<float> dx, Span<float> dweight) {
  KINETOK_CALL(RmsNormBackward, context, dy, x, weight, inv_rms, accumulate, dx, dweight);
}

}  // namespace kinetok

#endif
