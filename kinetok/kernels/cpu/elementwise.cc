#include "kinetok/kernels/elementwise.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/dropout_mask.h"
#include "kinetok/kernels/cpu/lane_loop.h"

namespace kinetok::KINETOK_TARGET {

constexpr int64_t kPiece = 32768;
constexpr int64_t kSquareBlock = 4096;

void Add(Context& context, Rows<const float> a, Rows<const float> b, Rows<float> y) {
  ParallelFor(context, y.rows, RowGrain(y.width, kPiece), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float* left = a[i];
      const float* right = b[i];
      float* out = y[i];
      ForLanes(
          0, y.width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            Store(out + c, Add(Load(left + c, part), Load(right + c, part)), part);
          });
    }
  });
}

void Dropout(Context& context, const DropoutSite& site, Span<const uint64_t> keys, Rows<const float> x, Rows<float> y) {
  const DropoutMask mask = MakeDropoutMask(site);
  const uint64_t* row_keys = keys.data();
  ParallelFor(context, x.rows, RowGrain(x.width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const DropoutRow row = MakeDropoutRow(mask, row_keys[i]);
      const float* in = x[i];
      float* out = y[i];
      ForLanes(
          0, x.width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            const F32x16 scale = DropoutScale(mask, row, c);
            // What is dropped is 0 even where x is infinite or NaN.
            Store(out + c, Select(Equal(scale, Zero()), Zero(), Mul(Load(in + c, part), scale)), part);
          });
    }
  });
}

// Eight doubles; the compiler splits them where registers are narrower. A product of two floats is exact in double, so
// a fused and an unfused sum agree.
using F64x8 = double __attribute__((vector_size(64)));
using F32x8 = float __attribute__((vector_size(32)));

KINETOK_INLINE double BlockSquares(const float* x, int64_t n) {
  F64x8 sum[4] = {};
  int64_t c = 0;
  for (; c + 32 <= n; c += 32) {
    for (int j = 0; j < 4; ++j) {
      F32x8 narrow;
      std::memcpy(&narrow, x + c + 8 * j, sizeof narrow);
      const F64x8 wide = __builtin_convertvector(narrow, F64x8);
      sum[j] += wide * wide;
    }
  }
  const F64x8 lanes = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  double total = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  for (; c < n; ++c) total += static_cast<double>(x[c]) * x[c];
  return total;
}

double SumOfSquares(Context& context, Span<const float> x) {
  const auto n = static_cast<int64_t>(x.size());
  const int64_t blocks = (n + kSquareBlock - 1) / kSquareBlock;
  const float* data = x.data();
  auto* sums = reinterpret_cast<double*>(context.SharedScratch(blocks * static_cast<int64_t>(sizeof(double))).data());
  ParallelFor(context, blocks, kPiece / kSquareBlock, [&](int64_t first, int64_t last, int) {
    for (int64_t b = first; b < last; ++b) {
      const int64_t begin = b * kSquareBlock, left = n - begin;
      sums[b] = BlockSquares(data + begin, left < kSquareBlock ? left : kSquareBlock);
    }
  });
  double total = 0;
  for (int64_t b = 0; b < blocks; ++b) total += sums[b];
  return total;
}

}  // namespace kinetok::KINETOK_TARGET

#else

#include <cstring>

#include "kinetok/base/error.h"

namespace kinetok {

KINETOK_DECLARE(void, Add, (Context & context, Rows<const float> a, Rows<const float> b, Rows<float> y))
void Add(Context& context, Rows<const float> a, Rows<const float> b, Rows<float> y) {
  KINETOK_CALL(Add, context, a, b, y);
}

KINETOK_DECLARE(void, Dropout,
                (Context & context, const DropoutSite& site, Span<const uint64_t> keys, Rows<const float> x,
                 Rows<float> y))
void Dropout(Context& context, const DropoutSite& site, Span<const uint64_t> keys, Rows<const float> x, Rows<float> y) {
  KINETOK_CHECK(site.p >= 0 && site.p < 1);
  if (site.p == 0) {
    if (x.data == y.data) return;
    for (int64_t i = 0; i < x.rows; ++i) std::memcpy(y[i], x[i], x.width * sizeof(float));
    return;
  }
  KINETOK_CALL(Dropout, context, site, keys, x, y);
}

KINETOK_DECLARE(double, SumOfSquares, (Context & context, Span<const float> x))
double SumOfSquares(Context& context, Span<const float> x) {
  KINETOK_CALL(SumOfSquares, context, x);
}

}  // namespace kinetok

#endif
