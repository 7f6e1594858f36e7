// Walking a row sixteen columns at a time, for kernel code only (dispatch.h): whole vectors, then one partial one.
#pragma once

#include "kinetok/kernels/cpu/simd.h"
#include "kinetok/tensor/views.h"

namespace kinetok::KINETOK_TARGET {

struct Whole {};
struct Partial {
  int n;
};

KINETOK_INLINE F32x16 Load(const float* p, Whole) {
  return Load(p);
}
KINETOK_INLINE F32x16 Load(const float* p, Partial part) {
  return LoadN(p, part.n);
}  // the rest is 0
KINETOK_INLINE void Store(float* p, const F32x16& a, Whole) {
  Store(p, a);
}
KINETOK_INLINE void Store(float* p, const F32x16& a, Partial part) {
  StoreN(p, a, part.n);
}
// The lanes beyond the row's end replaced by `fill`.
KINETOK_INLINE F32x16 Fill(const F32x16& a, float, Whole) {
  return a;
}
KINETOK_INLINE F32x16 Fill(const F32x16& a, float fill, Partial part) {
  return Select(FirstN(part.n), a, Set(fill));
}

// f(column, Whole or Partial) from `first` (a multiple of 16) to `last`.
template <class F>
KINETOK_INLINE void ForLanes(int64_t first, int64_t last, F f) {
  int64_t c = first;
  for (; c + kLanes <= last; c += kLanes) f(c, Whole{});
  if (c < last) f(c, Partial{static_cast<int>(last - c)});
}

// A sum over a row in four accumulators, so that additions overlap: vector j goes to accumulator j % 4 by
// step(accumulator, column, Whole or Partial); then (0 + 1) + (2 + 3).
template <class F>
KINETOK_INLINE F32x16 SumLanes(int64_t width, F step) {
  F32x16 a0 = Zero(), a1 = Zero(), a2 = Zero(), a3 = Zero();
  int64_t c = 0;
  for (; c + 4 * kLanes <= width; c += 4 * kLanes) {
    a0 = step(a0, c, Whole{});
    a1 = step(a1, c + kLanes, Whole{});
    a2 = step(a2, c + 2 * kLanes, Whole{});
    a3 = step(a3, c + 3 * kLanes, Whole{});
  }
  ForLanes(
      c, width, [&](int64_t column, auto part) __attribute__((always_inline)) {
        a0 = step(a0, column, part);
        const F32x16 used = a0;  // the next vector belongs to the next accumulator
        a0 = a1;
        a1 = a2;
        a2 = a3;
        a3 = used;
      });
  return Add(Add(a0, a1), Add(a2, a3));
}

// Rows a piece, so that a piece is at least about `elements` elements: small tensors stay on the calling thread.
KINETOK_INLINE int64_t RowGrain(int64_t width, int64_t elements = 16384) {
  return width >= elements || width <= 0 ? 1 : elements / width;
}

// Columns are shared out in blocks of this many; a reduction down a column stays with one thread.
inline constexpr int64_t kColumnBlock = 4 * kLanes;

// Column blocks a piece of a reduction over `rows`: all of them when the whole is small.
KINETOK_INLINE int64_t ColumnGrain(int64_t rows, int64_t width) {
  const int64_t blocks = (width + kColumnBlock - 1) / kColumnBlock;
  const int64_t wanted = 16384 / (kColumnBlock * (rows > 0 ? rows : 1)) + 1;
  return wanted < blocks ? wanted : (blocks > 0 ? blocks : 1);
}

}  // namespace kinetok::KINETOK_TARGET
