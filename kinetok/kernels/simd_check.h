// The sixteen-lane operations of cpu/simd.h and cpu/simd_math.h, callable on every instruction set: for simd_test.cc,
// not part of the library.
#pragma once

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/views.h"

namespace kinetok::test {

// clang-format off
enum class Lanes : uint8_t {
  kAdd, kSub, kMul, kDiv, kSqrt, kFma, kFnma, kMax, kMin, kNeg, kAbs,  // arithmetic of a, b, c
  kLess, kLessEqual, kEqual,                                           // 1 where true, else 0
  kExp, kLog, kErf,                                                    // of a
  kReduceSum, kReduceMax,                                              // of 16 lanes, in all of them
  kF16, kBF16,                                                         // of the low halves of a's bits
  kAddI, kSubI, kMulLoI, kAnd, kOr, kXor, kShiftLeft5, kShiftRight5, kToFloat,  // of a's and b's bits
};
// clang-format on

// out[i] = op(a[i], b[i], c[i]) for a multiple of 16 elements.
void ApplyLanes(Context& context, Lanes op, Span<const float> a, Span<const float> b, Span<const float> c,
                Span<float> out);

// The first n of a row through LoadN and StoreN: out[0..16) = a[0..n) then zeros, tail[0..n) = a, the rest untouched.
void PartialLanes(Context& context, int n, Span<const float> a, Span<float> out, Span<float> tail);

}  // namespace kinetok::test
