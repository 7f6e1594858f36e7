// The GELUs divide x by 1 + e^-u instead of multiplying by 1 + tanh(u / 2): the same function, without the
// cancellation that costs tanh every digit where x is negative, and one exponential and one division in all.
#include "kinetok/kernels/activation.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/lane_loop.h"
#include "kinetok/kernels/cpu/simd_math.h"

namespace kinetok::KINETOK_TARGET {

constexpr float kGelu1 = 1.5957691216f;   // 2 sqrt(2 / pi)
constexpr float kGelu3 = 0.07135481283f;  // 0.044715 of it
constexpr float kInvSqrt2 = 0.70710678119f;
constexpr float kInvSqrt2Pi = 0.39894228040f;

// x, or the nearer end of [-limit, limit], where a derivative has reached 0 or 1 and its parts would overflow. NaN
// stays.
KINETOK_INLINE F32x16 Clamp(F32x16 x, float limit) {
  return Max(Set(-limit), Min(Set(limit), x));
}

struct GeluTanh {
  static KINETOK_INLINE F32x16 Value(F32x16 x) {
    const F32x16 minus_u = Mul(x, Fma(Mul(x, x), Set(-kGelu3), Set(-kGelu1)));
    return Div(x, Add(Set(1.0f), Exp(minus_u)));
  }
  static KINETOK_INLINE F32x16 Slope(F32x16 any) {
    const F32x16 x = Clamp(any, 9.0f), x2 = Mul(x, x);
    const F32x16 e = Exp(Mul(x, Fma(x2, Set(-kGelu3), Set(-kGelu1))));
    const F32x16 s = Div(Set(1.0f), Add(Set(1.0f), e));
    const F32x16 du = Fma(x2, Set(3.0f * kGelu3), Set(kGelu1));
    return Fma(Mul(Mul(x, s), Mul(e, s)), du, s);  // s + x s (1 - s) u'
  }
};

struct GeluErf {
  static KINETOK_INLINE F32x16 Value(F32x16 x) {
    const F32x16 half = Mul(x, Set(0.5f));
    return Fma(half, Erf(Mul(x, Set(kInvSqrt2))), half);
  }
  static KINETOK_INLINE F32x16 Slope(F32x16 any) {
    const F32x16 x = Clamp(any, 12.0f);
    const F32x16 cdf = Fma(Set(0.5f), Erf(Mul(x, Set(kInvSqrt2))), Set(0.5f));
    const F32x16 pdf = Mul(Set(kInvSqrt2Pi), Exp(Mul(Mul(x, Set(-0.5f)), x)));
    return Fma(x, pdf, cdf);
  }
};

struct Silu {
  static KINETOK_INLINE F32x16 Value(F32x16 x) { return Div(x, Add(Set(1.0f), Exp(Neg(x)))); }
  static KINETOK_INLINE F32x16 Slope(F32x16 any) {
    const F32x16 x = Clamp(any, 80.0f), e = Exp(Neg(x));
    const F32x16 s = Div(Set(1.0f), Add(Set(1.0f), e));
    return Add(Mul(Mul(x, s), Mul(e, s)), s);  // s + x s (1 - s)
  }
};

template <class F>
KINETOK_INLINE void ActivateWith(Context& context, Rows<const float> x, Rows<float> y) {
  ParallelFor(context, x.rows, RowGrain(x.width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float* in = x[i];
      float* out = y[i];
      ForLanes(
          0, x.width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            Store(out + c, F::Value(Load(in + c, part)), part);
          });
    }
  });
}

template <class F>
KINETOK_INLINE void ActivateBackwardWith(Context& context, Rows<const float> dy, Rows<const float> x, Rows<float> dx) {
  ParallelFor(context, x.rows, RowGrain(x.width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float *in = x[i], *g = dy[i];
      float* out = dx[i];
      ForLanes(
          0, x.width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            Store(out + c, Mul(Load(g + c, part), F::Slope(Load(in + c, part))), part);
          });
    }
  });
}

void Activate(Context& context, Activation f, Rows<const float> x, Rows<float> y) {
  switch (f) {
    case Activation::kGeluTanh:
      return ActivateWith<GeluTanh>(context, x, y);
    case Activation::kGeluErf:
      return ActivateWith<GeluErf>(context, x, y);
    case Activation::kSilu:
      return ActivateWith<Silu>(context, x, y);
  }
}

void ActivateBackward(Context& context, Activation f, Rows<const float> dy, Rows<const float> x, Rows<float> dx) {
  switch (f) {
    case Activation::kGeluTanh:
      return ActivateBackwardWith<GeluTanh>(context, dy, x, dx);
    case Activation::kGeluErf:
      return ActivateBackwardWith<GeluErf>(context, dy, x, dx);
    case Activation::kSilu:
      return ActivateBackwardWith<Silu>(context, dy, x, dx);
  }
}

void SwiGlu(Context& context, Rows<const float> x, Rows<float> y) {
  const int64_t width = y.width;
  ParallelFor(context, y.rows, RowGrain(width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float *gate = x[i], *up = gate + width;
      float* out = y[i];
      ForLanes(
          0, width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            Store(out + c, Mul(Silu::Value(Load(gate + c, part)), Load(up + c, part)), part);
          });
    }
  });
}

void SwiGluBackward(Context& context, Rows<const float> dy, Rows<const float> x, Rows<float> dx) {
  const int64_t width = dy.width;
  ParallelFor(context, dy.rows, RowGrain(width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const float *g = dy[i], *gate = x[i], *up = gate + width;
      float *dgate = dx[i], *dup = dgate + width;
      ForLanes(
          0, width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            const F32x16 a = Load(gate + c, part), b = Load(up + c, part), d = Load(g + c, part);
            Store(dgate + c, Mul(Mul(d, b), Silu::Slope(a)), part);
            Store(dup + c, Mul(d, Silu::Value(a)), part);
          });
    }
  });
}

}  // namespace kinetok::KINETOK_TARGET

#else

namespace kinetok {

KINETOK_DECLARE(void, Activate, (Context & context, Activation f, Rows<const float> x, Rows<float> y))
void Activate(Context& context, Activation f, Rows<const float> x, Rows<float> y) {
  KINETOK_CALL(Activate, context, f, x, y);
}

KINETOK_DECLARE(void, ActivateBackward,
                (Context & context, Activation f, Rows<const float> dy, Rows<const float> x, Rows<float> dx))
void ActivateBackward(Context& context, Activation f, Rows<const float> dy, Rows<const float> x, Rows<float> dx) {
  KINETOK_CALL(ActivateBackward, context, f, dy, x, dx);
}

KINETOK_DECLARE(void, SwiGlu, (Context & context, Rows<const float> x, Rows<float> y))
void SwiGlu(Context& context, Rows<const float> x, Rows<float> y) {
  KINETOK_CALL(SwiGlu, context, x, y);
}

KINETOK_DECLARE(void, SwiGluBackward, (Context & context, Rows<const float> dy, Rows<const float> x, Rows<float> dx))
void SwiGluBackward(Context& context, Rows<const float> dy, Rows<const float> x, Rows<float> dx) {
  KINETOK_CALL(SwiGluBackward, context, dy, x, dx);
}

}  // namespace kinetok

#endif
