#include "kinetok/kernels/matmul.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/gemm_block.h"

namespace kinetok::KINETOK_TARGET {
namespace {

// Software prefetch keeps many streams going on Intel; on AMD it costs more than it brings. 0 asks for the line that is
// read next anyway.
int64_t PrefetchBytes() {
#if defined(__x86_64__)
  return __builtin_cpu_is("intel") != 0 ? 1024 : 0;
#else
  return 0;
#endif
}

// Which panels a task of a product with few rows reads. The first tasks take as many panels side by side as the
// registers allow; towards the end they shrink, so that no thread waits long for the last one.
struct FewRowTasks {
  int64_t panels, beside;
  int64_t wide;  // tasks of `beside` panels, then tasks of `narrow`
  int64_t narrow;
  int64_t count;

  FewRowTasks(int64_t panel_count, int64_t most, int threads) : panels(panel_count), beside(most) {
    narrow = (beside + 1) / 2;
    const int64_t tail = threads > 1 ? std::min(panels, 2 * beside * threads) : 0;
    wide = (panels - tail) / beside;
    count = wide + (panels - wide * beside + narrow - 1) / narrow;
  }
  int64_t Begin(int64_t task) const {
    return std::min(panels, task <= wide ? task * beside : wide * beside + (task - wide) * narrow);
  }
};

template <class Panel>
void FewRows(Context& context, Rows<const float> x, const PackedMatrix& w, const float* bias, Rows<float> y) {
  using Element = typename Panel::Element;
  alignas(64) static constexpr float kZeros[16 * kStreams] = {};
  const auto* weights = static_cast<const Element*>(w.Panel(0));
  const int64_t n = w.rows(), k = w.columns(), panel_stride = 16 * k;
  const int64_t row_tiles = Parts(x.rows, kFewRows), prefetch_bytes = PrefetchBytes();
  const FewRowTasks tasks(w.panels(), PanelsBeside(static_cast<int>((x.rows + row_tiles - 1) / row_tiles)),
                          context.threads());
  ParallelFor(context, tasks.count, 1, [&](int64_t task, int64_t, int) {
    const int64_t p0 = tasks.Begin(task), p1 = tasks.Begin(task + 1);
    const bool partial = 16 * p1 > n;
    const int64_t used = partial ? n - 16 * p0 : 16 * (p1 - p0);
    // The last panel may be narrower than 16: then outputs go through a buffer.
    alignas(64) float start[16 * kStreams] = {}, edge[kFewRows * 16 * kStreams];
    const float* init = bias != nullptr ? bias + 16 * p0 : kZeros;
    if (partial && bias != nullptr) {
      std::memcpy(start, bias + 16 * p0, used * sizeof(float));
      init = start;
    }
    for (int64_t t = 0; t < row_tiles; ++t) {
      const int64_t i0 = PartBegin(x.rows, row_tiles, t), i1 = PartBegin(x.rows, row_tiles, t + 1);
      float* c = partial ? edge : y[i0] + 16 * p0;
      const int64_t stride = partial ? 16 * kStreams : y.stride;
      kFewRowTiles<Panel>[i1 - i0 - 1][p1 - p0 - 1](x[i0], x.stride, weights + p0 * panel_stride, panel_stride, k,
                                                    {init, 0, c, stride, prefetch_bytes});
      for (int64_t i = i0; partial && i < i1; ++i) {
        std::memcpy(y[i] + 16 * p0, edge + (i - i0) * stride, used * sizeof(float));
      }
    }
  });
}

}  // namespace

void MatMul(Context& context, Rows<const float> x, const PackedMatrix& w, Span<const float> bias, Rows<float> y) {
  const float* start = bias.empty() ? nullptr : bias.data();
  if (x.rows <= 8) {
    if (w.dtype() == DType::kF32) return FewRows<F32Panel>(context, x, w, start, y);
    if (w.dtype() == DType::kF16) return FewRows<F16Panel>(context, x, w, start, y);
    return FewRows<BF16Panel>(context, x, w, start, y);
  }
  const BLayout layout = w.dtype() == DType::kF32   ? BLayout::kPanels
                         : w.dtype() == DType::kF16 ? BLayout::kF16Panels
                                                    : BLayout::kBF16Panels;
  MultiplyInParallel(context, {.m = x.rows,
                               .n = w.rows(),
                               .k = w.columns(),
                               .a = x.data,
                               .a_stride = x.stride,
                               .a_transposed = false,
                               .b = w.Panel(0),
                               .b_stride = 16 * w.columns(),
                               .b_layout = layout,
                               .bias = start,
                               .accumulate = false,
                               .c = y.data,
                               .c_stride = y.stride});
}

}  // namespace kinetok::KINETOK_TARGET

#else

#include "kinetok/base/error.h"

namespace kinetok {

KINETOK_DECLARE(void, MatMul, (Context&, Rows<const float>, const PackedMatrix&, Span<const float>, Rows<float>))

void MatMul(Context& context, Rows<const float> x, const PackedMatrix& w, Span<const float> bias, Rows<float> y) {
  KINETOK_CHECK(x.width == w.columns() && y.width == w.rows() && x.rows == y.rows);
  KINETOK_CHECK(bias.empty() || static_cast<int64_t>(bias.size()) == w.rows());
  if (x.rows == 0 || w.empty()) return;
  KINETOK_CALL(MatMul, context, x, w, bias, y);
}

}  // namespace kinetok

#endif
