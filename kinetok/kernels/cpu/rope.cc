#include "kinetok/kernels/rope.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/lane_loop.h"

namespace kinetok::KINETOK_TARGET {

// cos and sin come as bare arrays: std::vector's functions must not be compiled here (dispatch.h).
void RotateRows(Context& context, const float* cos, const float* sin, const int32_t* positions, int64_t heads,
                int64_t half, bool inverse, Rows<float> x) {
  ParallelFor(context, x.rows, RowGrain(2 * half * heads), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float *row_cos = cos + positions[i] * half, *row_sin = sin + positions[i] * half;
      for (int64_t h = 0; h < heads; ++h) {
        float *low = x[i] + 2 * h * half, *high = low + half;
        ForLanes(
            0, half, [&](int64_t j, auto part) __attribute__((always_inline)) {
              const F32x16 a = Load(low + j, part), b = Load(high + j, part), c = Load(row_cos + j, part);
              const F32x16 s = inverse ? Neg(Load(row_sin + j, part)) : Load(row_sin + j, part);
              Store(low + j, Fnma(b, s, Mul(a, c)), part);
              Store(high + j, Fma(a, s, Mul(b, c)), part);
            });
      }
    }
  });
}

}  // namespace kinetok::KINETOK_TARGET

#else

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"

namespace kinetok {

std::vector<double> RopeFrequencies(int64_t head_dim, double theta) {
  KINETOK_CHECK(head_dim % 2 == 0);
  std::vector<double> out(head_dim / 2);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = Pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
  }
  return out;
}

RopeTable::RopeTable(int64_t positions_in, int64_t head_dim, double theta)
    : RopeTable(positions_in, RopeFrequencies(head_dim, theta)) {}

RopeTable::RopeTable(int64_t positions_in, Span<const double> frequencies)
    : positions(positions_in),
      half(static_cast<int64_t>(frequencies.size())),
      cos(positions * half),
      sin(positions * half) {
  for (int64_t i = 0; i < half; ++i) {
    for (int64_t p = 0; p < positions; ++p) {
      const double angle = static_cast<double>(p) * frequencies[static_cast<size_t>(i)];
      cos[p * half + i] = static_cast<float>(Cos(angle));
      sin[p * half + i] = static_cast<float>(Sin(angle));
    }
  }
}

KINETOK_DECLARE(void, RotateRows,
                (Context & context, const float* cos, const float* sin, const int32_t* positions, int64_t heads,
                 int64_t half, bool inverse, Rows<float> x))
void Rope(Context& context, const RopeTable& table, Span<const int32_t> positions, int64_t heads, int64_t head_dim,
          bool inverse, Rows<float> x) {
  KINETOK_CHECK(head_dim == 2 * table.half);
  KINETOK_CALL(RotateRows, context, table.cos.data(), table.sin.data(), positions.data(), heads, table.half, inverse,
               x);
}

}  // namespace kinetok

#endif
