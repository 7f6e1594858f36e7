#include "kinetok/kernels/layer_scale.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/lane_loop.h"

namespace kinetok::KINETOK_TARGET {

constexpr int64_t kPiece = 32768;

void LayerScale(Context& context, Rows<const float> x, Span<const float> gamma, Rows<float> y) {
  const float* scale = gamma.data();
  ParallelFor(context, y.rows, RowGrain(y.width, kPiece), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float* in = x[i];
      float* out = y[i];
      ForLanes(
          0, y.width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            Store(out + c, Mul(Load(in + c, part), Load(scale + c, part)), part);
          });
    }
  });
}

void LayerScaleBackward(Context& context, Rows<const float> dy, Rows<const float> x, Span<const float> gamma,
                        Rows<float> dx, Span<float> dgamma) {
  const int64_t width = dy.width, blocks = (width + kColumnBlock - 1) / kColumnBlock;
  const float* scale = gamma.data();
  float* sum = dgamma.data();
  // Threads share out columns: a sum down a column keeps its order.
  ParallelFor(context, blocks, ColumnGrain(dy.rows, width), [&](int64_t first, int64_t last, int) {
    const int64_t begin = first * kColumnBlock, end = last * kColumnBlock < width ? last * kColumnBlock : width;
    for (int64_t i = 0; i < dy.rows; ++i) {
      const float *above = dy[i], *in = x[i];
      float* out = dx[i];
      ForLanes(
          begin, end, [&](int64_t c, auto part) __attribute__((always_inline)) {
            const F32x16 d = Load(above + c, part);
            Store(sum + c, Fma(d, Load(in + c, part), Load(sum + c, part)), part);
            Store(out + c, Mul(d, Load(scale + c, part)), part);
          });
    }
  });
}

}  // namespace kinetok::KINETOK_TARGET

#else

#include "kinetok/base/error.h"

namespace kinetok {

KINETOK_DECLARE(void, LayerScale, (Context & context, Rows<const float> x, Span<const float> gamma, Rows<float> y))
void LayerScale(Context& context, Rows<const float> x, Span<const float> gamma, Rows<float> y) {
  KINETOK_CHECK(static_cast<int64_t>(gamma.size()) == y.width && x.width == y.width && x.rows == y.rows);
  KINETOK_CALL(LayerScale, context, x, gamma, y);
}

KINETOK_DECLARE(void, LayerScaleBackward,
                (Context & context, Rows<const float> dy, Rows<const float> x, Span<const float> gamma, Rows<float> dx,
                 Span<float> dgamma))
void LayerScaleBackward(Context& context, Rows<const float> dy, Rows<const float> x, Span<const float> gamma,
                        Rows<float> dx, Span<float> dgamma) {
  KINETOK_CHECK(gamma.size() == dgamma.size() && static_cast<int64_t>(gamma.size()) == dy.width);
  KINETOK_CALL(LayerScaleBackward, context, dy, x, gamma, dx, dgamma);
}

}  // namespace kinetok

#endif
