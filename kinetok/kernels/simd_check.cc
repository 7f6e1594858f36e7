#include "kinetok/kernels/simd_check.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/simd_math.h"

namespace kinetok::KINETOK_TARGET {

using test::Lanes;

KINETOK_INLINE F32x16 OneWhere(Mask16 m) {
  return Select(m, Set(1.0f), Zero());
}

KINETOK_INLINE F32x16 LoadHalves(const float* p, bool f16) {
  uint16_t halves[kLanes];
  for (int i = 0; i < kLanes; ++i) std::memcpy(&halves[i], p + i, sizeof halves[i]);
  return f16 ? LoadF16(halves) : LoadBF16(halves);
}

KINETOK_INLINE F32x16 ApplyOne(Lanes op, const float* pa, F32x16 b, F32x16 c) {
  const F32x16 a = Load(pa);
  const I32x16 ia = BitsOf(a), ib = BitsOf(b);
  switch (op) {
    case Lanes::kAdd:
      return Add(a, b);
    case Lanes::kSub:
      return Sub(a, b);
    case Lanes::kMul:
      return Mul(a, b);
    case Lanes::kDiv:
      return Div(a, b);
    case Lanes::kSqrt:
      return Sqrt(a);
    case Lanes::kFma:
      return Fma(a, b, c);
    case Lanes::kFnma:
      return Fnma(a, b, c);
    case Lanes::kMax:
      return Max(a, b);
    case Lanes::kMin:
      return Min(a, b);
    case Lanes::kNeg:
      return Neg(a);
    case Lanes::kAbs:
      return Abs(a);
    case Lanes::kLess:
      return OneWhere(Less(a, b));
    case Lanes::kLessEqual:
      return OneWhere(LessEqual(a, b));
    case Lanes::kEqual:
      return OneWhere(Equal(a, b));
    case Lanes::kExp:
      return Exp(a);
    case Lanes::kLog:
      return Log(a);
    case Lanes::kErf:
      return Erf(a);
    case Lanes::kReduceSum:
      return Set(ReduceSum(a));
    case Lanes::kReduceMax:
      return Set(ReduceMax(a));
    case Lanes::kF16:
      return LoadHalves(pa, true);
    case Lanes::kBF16:
      return LoadHalves(pa, false);
    case Lanes::kAddI:
      return FromBits(AddI(ia, ib));
    case Lanes::kSubI:
      return FromBits(SubI(ia, ib));
    case Lanes::kMulLoI:
      return FromBits(MulLoI(ia, ib));
    case Lanes::kAnd:
      return FromBits(And(ia, ib));
    case Lanes::kOr:
      return FromBits(Or(ia, ib));
    case Lanes::kXor:
      return FromBits(Xor(ia, ib));
    case Lanes::kShiftLeft5:
      return FromBits(ShiftLeft<5>(ia));
    case Lanes::kShiftRight5:
      return FromBits(ShiftRight<5>(ia));
    case Lanes::kToFloat:
      return ToFloat(ia);
  }
  return a;
}

void ApplyLanes(Context&, Lanes op, Span<const float> a, Span<const float> b, Span<const float> c, Span<float> out) {
  const float *pa = a.data(), *pb = b.data(), *pc = c.data();
  float* po = out.data();
  for (size_t i = 0; i < out.size(); i += kLanes) Store(po + i, ApplyOne(op, pa + i, Load(pb + i), Load(pc + i)));
}

void PartialLanes(Context&, int n, Span<const float> a, Span<float> out, Span<float> tail) {
  const F32x16 part = LoadN(a.data(), n);
  Store(out.data(), part);
  StoreN(tail.data(), Select(FirstN(n), part, Set(-1.0f)), n);
}

}  // namespace kinetok::KINETOK_TARGET

#else

namespace kinetok {

KINETOK_DECLARE(void, ApplyLanes,
                (Context & context, test::Lanes op, Span<const float> a, Span<const float> b, Span<const float> c,
                 Span<float> out))
KINETOK_DECLARE(void, PartialLanes, (Context & context, int n, Span<const float> a, Span<float> out, Span<float> tail))

namespace test {

void ApplyLanes(Context& context, Lanes op, Span<const float> a, Span<const float> b, Span<const float> c,
                Span<float> out) {
  KINETOK_CALL(ApplyLanes, context, op, a, b, c, out);
}

void PartialLanes(Context& context, int n, Span<const float> a, Span<float> out, Span<float> tail) {
  KINETOK_CALL(PartialLanes, context, n, a, out, tail);
}

}  // namespace test
}  // namespace kinetok

#endif
