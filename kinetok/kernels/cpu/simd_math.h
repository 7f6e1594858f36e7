// Elementary functions on sixteen lanes, for kernel code only (dispatch.h). Polynomials are our own minimax fits
// (Remez); every step is an IEEE operation of simd.h, so the bits are the same on every target. Errors are measured
// against long double by simd_test.cc over dense samples.
#pragma once

#include "kinetok/kernels/cpu/simd.h"

namespace kinetok::KINETOK_TARGET {

// e^x within 1 ulp: x = n log 2 + r with |r| <= log(2)/2, then 2^n in two exact factors, so that subnormal results
// round once. 0 below -104, infinity above 88.73; NaN stays NaN.
KINETOK_INLINE F32x16 Exp(F32x16 x) {
  const F32x16 clamped = Max(Set(-105.0f), Min(Set(89.0f), x));  // NaN passes through the second argument
  const F32x16 magic = Set(0x1.8p23f);                           // adding it rounds to an integer
  const F32x16 shifted = Fma(clamped, Set(0x1.715476p+0f), magic);
  const F32x16 n = Sub(shifted, magic);
  F32x16 r = Fma(n, Set(-0x1.62e430p-1f), clamped);
  r = Fma(n, Set(0x1.05c610p-29f), r);
  F32x16 p = Set(0x1.6a2430p-10f);
  p = Fma(p, r, Set(0x1.1239e2p-7f));
  p = Fma(p, r, Set(0x1.5558f2p-5f));
  p = Fma(p, r, Set(0x1.555492p-3f));
  p = Fma(p, r, Set(0x1.fffffcp-2f));
  p = Fma(p, r, Set(1.0f));
  p = Fma(p, r, Set(1.0f));
  const I32x16 biased = SubI(BitsOf(shifted), SetI(0x4b400000 - 254));  // n + 254
  const I32x16 half = ShiftRight<1>(biased);
  const F32x16 scale1 = FromBits(ShiftLeft<23>(half)), scale2 = FromBits(ShiftLeft<23>(SubI(biased, half)));
  return Mul(Mul(p, scale1), scale2);
}

// log x within 1 ulp: x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt 2). -infinity at 0, NaN below, subnormals
// included.
KINETOK_INLINE F32x16 Log(F32x16 x) {
  const Mask16 tiny = Less(x, Set(0x1p-126f));
  const F32x16 normal = Select(tiny, Mul(x, Set(0x1p24f)), x);
  const I32x16 offset = SubI(BitsOf(normal), SetI(0x3f3504f3));  // of sqrt(1/2)
  // The exponent is the offset's upper bits, signed: shifting logically needs a bias that keeps it positive.
  const I32x16 e = SubI(ShiftRight<23>(AddI(offset, SetI(0x40000000))), SetI(128));
  const F32x16 m = FromBits(SubI(BitsOf(normal), ShiftLeft<23>(e)));
  const F32x16 exponent = Add(ToFloat(e), Select(tiny, Set(-24.0f), Zero()));
  const F32x16 f = Sub(m, Set(1.0f));
  F32x16 p = Set(0x1.145824p-4f);
  p = Fma(p, f, Set(-0x1.de3c16p-4f));
  p = Fma(p, f, Set(0x1.e6f036p-4f));
  p = Fma(p, f, Set(-0x1.fc2204p-4f));
  p = Fma(p, f, Set(0x1.23376cp-3f));
  p = Fma(p, f, Set(-0x1.555c4ep-3f));
  p = Fma(p, f, Set(0x1.99a4b6p-3f));
  p = Fma(p, f, Set(-0x1.000006p-2f));
  p = Fma(p, f, Set(0x1.555548p-2f));
  const F32x16 f2 = Mul(f, f);
  F32x16 tail = Mul(Mul(p, f), f2);
  tail = Fma(exponent, Set(-0x1.05c610p-29f), tail);  // log 2 = high - low
  tail = Fma(f2, Set(-0.5f), tail);
  F32x16 y = Fma(exponent, Set(0x1.62e430p-1f), Add(f, tail));
  const F32x16 infinity = Set(__builtin_inff());
  y = Select(Equal(x, infinity), infinity, y);
  y = Select(Equal(x, Zero()), Neg(infinity), y);
  return Select(LessEqual(Zero(), x), y, Set(__builtin_nanf("")));
}

// The sign of `sign` on the magnitude of `a`.
KINETOK_INLINE F32x16 CopySign(F32x16 a, F32x16 sign) {
  return FromBits(Or(And(BitsOf(a), SetI(INT32_MAX)), And(BitsOf(sign), SetI(INT32_MIN))));
}

// erf x within 2 ulp: an odd polynomial below 0.92, 1 - e^-R(|x|) above, where R fits -log erfc.
KINETOK_INLINE F32x16 Erf(F32x16 x) {
  const F32x16 t = Min(Set(4.05f), Abs(x)), s = Mul(x, x);
  F32x16 p = Set(0x1.5cd498p-14f);
  p = Fma(p, s, Set(-0x1.aa3f26p-11f));
  p = Fma(p, s, Set(0x1.54c7f4p-8f));
  p = Fma(p, s, Set(-0x1.b80e90p-6f));
  p = Fma(p, s, Set(0x1.ce2e0ap-4f));
  p = Fma(p, s, Set(-0x1.812742p-2f));
  p = Fma(p, s, Set(0x1.06eba8p-3f));  // 2 / sqrt(pi) - 1
  const F32x16 small = Fma(p, x, x);
  F32x16 r = Set(-0x1.9ae4c4p-13f);
  r = Fma(r, t, Set(0x1.8edee0p-9f));
  r = Fma(r, t, Set(-0x1.6c2936p-6f));
  r = Fma(r, t, Set(0x1.a9b38ap-4f));
  r = Fma(r, t, Set(0x1.463cd8p-1f));
  r = Fma(r, t, Set(0x1.20af52p+0f));
  r = Fma(r, t, Set(0x1.9a8eacp-13f));
  const F32x16 large = Sub(Set(1.0f), Exp(Neg(r)));
  return Select(Less(Abs(x), Set(0.92f)), small, CopySign(large, x));
}

}  // namespace kinetok::KINETOK_TARGET
