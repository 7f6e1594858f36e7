#include "kinetok/kernels/gemm.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/gemm_block.h"

namespace kinetok::KINETOK_TARGET {

void LinearForward(Context& context, Rows<const float> x, Rows<const float> w, Span<const float> bias, Rows<float> y) {
  MultiplyInParallel(context, {.m = x.rows,
                               .n = w.rows,
                               .k = w.width,
                               .a = x.data,
                               .a_stride = x.stride,
                               .a_transposed = false,
                               .b = w.data,
                               .b_stride = w.stride,
                               .b_layout = BLayout::kTransposed,
                               .bias = bias.empty() ? nullptr : bias.data(),
                               .accumulate = false,
                               .c = y.data,
                               .c_stride = y.stride});
}

void LinearBackwardInput(Context& context, Rows<const float> dy, Rows<const float> w, bool accumulate, Rows<float> dx) {
  MultiplyInParallel(context, {.m = dy.rows,
                               .n = w.width,
                               .k = w.rows,
                               .a = dy.data,
                               .a_stride = dy.stride,
                               .a_transposed = false,
                               .b = w.data,
                               .b_stride = w.stride,
                               .b_layout = BLayout::kRowMajor,
                               .bias = nullptr,
                               .accumulate = accumulate,
                               .c = dx.data,
                               .c_stride = dx.stride});
}

void LinearBackwardWeight(Context& context, Rows<const float> dy, Rows<const float> x, Rows<float> dw,
                          Span<float> dbias) {
  MultiplyInParallel(context, {.m = dy.width,
                               .n = x.width,
                               .k = dy.rows,
                               .a = dy.data,
                               .a_stride = dy.stride,
                               .a_transposed = true,
                               .b = x.data,
                               .b_stride = x.stride,
                               .b_layout = BLayout::kRowMajor,
                               .bias = nullptr,
                               .accumulate = true,
                               .c = dw.data,
                               .c_stride = dw.stride});
  if (dbias.empty()) return;
  ParallelFor(context, dy.width, 256, [&](int64_t first, int64_t last, int) {
    for (int64_t n = first; n < last; n += 16) {
      const int width = static_cast<int>(std::min<int64_t>(16, last - n));
      F32x16 sum = LoadN(dbias.data() + n, width);
      for (int64_t m = 0; m < dy.rows; ++m) sum = Add(sum, LoadN(dy[m] + n, width));
      StoreN(dbias.data() + n, sum, width);
    }
  });
}

}  // namespace kinetok::KINETOK_TARGET

#else

#include "kinetok/base/error.h"

namespace kinetok {

KINETOK_DECLARE(void, LinearForward, (Context&, Rows<const float>, Rows<const float>, Span<const float>, Rows<float>))
KINETOK_DECLARE(void, LinearBackwardInput, (Context&, Rows<const float>, Rows<const float>, bool, Rows<float>))
KINETOK_DECLARE(void, LinearBackwardWeight, (Context&, Rows<const float>, Rows<const float>, Rows<float>, Span<float>))

void LinearForward(Context& context, Rows<const float> x, Rows<const float> w, Span<const float> bias, Rows<float> y) {
  KINETOK_CHECK(x.width == w.width && y.width == w.rows && x.rows == y.rows);
  KINETOK_CHECK(bias.empty() || static_cast<int64_t>(bias.size()) == w.rows);
  if (x.rows == 0 || w.rows == 0) return;
  KINETOK_CALL(LinearForward, context, x, w, bias, y);
}

void LinearBackwardInput(Context& context, Rows<const float> dy, Rows<const float> w, bool accumulate, Rows<float> dx) {
  KINETOK_CHECK(dy.width == w.rows && dx.width == w.width && dy.rows == dx.rows);
  if (dy.rows == 0 || w.width == 0) return;
  KINETOK_CALL(LinearBackwardInput, context, dy, w, accumulate, dx);
}

void LinearBackwardWeight(Context& context, Rows<const float> dy, Rows<const float> x, Rows<float> dw,
                          Span<float> dbias) {
  KINETOK_CHECK(dy.rows == x.rows && dw.rows == dy.width && dw.width == x.width);
  KINETOK_CHECK(dbias.empty() || static_cast<int64_t>(dbias.size()) == dy.width);
  if (dw.rows == 0 || dw.width == 0) return;
  KINETOK_CALL(LinearBackwardWeight, context, dy, x, dw, dbias);
}

}  // namespace kinetok

#endif
