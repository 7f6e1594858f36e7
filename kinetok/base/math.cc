#include "kinetok/base/math.h"

#include <bit>
#include <cstdint>
#include <limits>

namespace kinetok {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kLog2High = 0x1.62e42fee00000p-1;  // 32 bits: n * kLog2High is exact for every exponent n
constexpr double kLog2Low = 0x1.a39ef35793c76p-33;

// What Exp calls is inlined into both of its versions, with and without the processor's own fma: the same bits, as fma
// is exact either way, but a call of the C library's takes ten times as long.
#define KINETOK_INLINE [[gnu::always_inline]] inline

KINETOK_INLINE double Fma(double a, double b, double c) {
  return __builtin_fma(a, b, c);
}

// To the nearest integer, |x| < 2^51, half to even.
KINETOK_INLINE double Nearest(double x) {
  return (x + 0x1.8p52) - 0x1.8p52;
}

// 2^n for -1022 <= n <= 1023.
KINETOK_INLINE double PowerOfTwo(int n) {
  return std::bit_cast<double>(static_cast<uint64_t>(n + 1023) << 52);
}

// Coefficients from the highest degree down.
template <int n>
KINETOK_INLINE double Horner(double x, const double (&c)[n]) {
  double p = c[0];
  for (int i = 1; i < n; ++i) p = Fma(p, x, c[i]);
  return p;
}

// e^r - 1 for |r| <= log(2) / 2 (and a little more): Taylor; the next term is below 2^-57 of r.
KINETOK_INLINE double ExpMinus1Reduced(double r) {
  constexpr double c[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                          1.0 / 5040,       1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
  return Fma(r * r, Horner(r, c), r);
}

// e^(x + low) = 2^n (1 + expm1(r)): the multiple of log 2 nearest to x leaves r; `low` is a correction below one ulp of
// x.
KINETOK_INLINE double ExpOfSum(double x, double low) {
  if (x > 709.8) return kInfinity;
  if (x < -745.2) return 0;
  const double n = Nearest(x * 0x1.71547652b82fep+0);
  const double r = Fma(n, -kLog2Low, Fma(n, -kLog2High, x)) + low;
  const double y = 1.0 + ExpMinus1Reduced(r);
  const int exponent = static_cast<int>(n), half = exponent / 2;
  return y * PowerOfTwo(half) * PowerOfTwo(exponent - half);  // one rounding, in the subnormals too
}

#ifdef __x86_64__
[[gnu::target("fma")]] double ExpWithFma(double x) {
  return x != x ? x : ExpOfSum(x, 0);
}
#endif

struct Sum {
  double high, low;  // high + low, low below an ulp of high
};

// log x for finite x > 0, to about 70 bits: x = 2^e (1 + f), s = f / (2 + f), log(1 + f) = 2 atanh(s), where only the
// series' first term needs more than double precision.
Sum LogExtended(double x) {
  double scaled = x;
  int e = 0;
  if (x < 0x1p-1022) {
    scaled = x * 0x1p54;
    e = -54;
  }
  const uint64_t bits = std::bit_cast<uint64_t>(scaled);
  const int64_t offset = static_cast<int64_t>(bits - 0x3fe6a09e667f3bcdu);  // of sqrt(1/2)
  const int64_t shift = offset >> 52;
  e += static_cast<int>(shift);
  const double f = std::bit_cast<double>(bits - (static_cast<uint64_t>(shift) << 52)) - 1.0;
  const double divisor = 2.0 + f, divisor_low = f - (divisor - 2.0);
  const double s = f / divisor;
  const double s_low = (Fma(-s, divisor, f) - s * divisor_low) / divisor;
  const double z = s * s;
  constexpr double c[] = {2.0 / 25, 2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15,
                          2.0 / 13, 2.0 / 11, 2.0 / 9,  2.0 / 7,  2.0 / 5,  2.0 / 3};
  const double series = s * z * Horner(z, c);
  // e log 2 + 2 s + series, the largest first; each difference is exact.
  const double first = e * kLog2High, second = 2.0 * s;
  const double high = first + second;
  const double lost = e != 0 ? second - (high - first) : 0.0;
  const double tail = Fma(e, kLog2Low, lost + 2.0 * s_low);
  const double sum = high + series, sum_lost = series - (sum - high);
  const double low = sum_lost + tail, total = sum + low;
  return {total, low - (total - sum)};
}

struct Reduced {
  int quadrant;
  double r, low;  // |r| <= pi / 4
};

// x minus the nearest multiple of pi / 2, whose three parts hold 160 bits. The first subtraction is exact.
Reduced ReduceAngle(double x) {
  const double n = Nearest(x * 0x1.45f306dc9c883p-1);
  const double a = Fma(-n, 0x1.921fb54442d18p+0, x);
  const double w = n * 0x1.1a62633145c07p-54, w_low = Fma(n, 0x1.1a62633145c07p-54, -w);
  const double r = a - w, back = r - a;
  const double lost = (a - (r - back)) - (w + back);  // exactly (a - w) - r, whichever is larger (Knuth)
  const double low = Fma(n, 0x1.f1976b7ed8fbcp-110, lost - w_low);
  return {static_cast<int>(static_cast<int64_t>(n) & 3), r, low};
}

double SinReduced(double r, double low) {
  constexpr double c[] = {1.0 / 355687428096000, -1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800,
                          1.0 / 362880,          -1.0 / 5040,          1.0 / 120,        -1.0 / 6};
  const double z = r * r;
  return r + Fma(r * z, Horner(z, c), low * Fma(z, -0.5, 1.0));
}

double CosReduced(double r, double low) {
  constexpr double c[] = {1.0 / 20922789888000, -1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800,
                          1.0 / 40320,          -1.0 / 720,         1.0 / 24};
  const double z = r * r, half = 0.5 * z, w = 1.0 - half;
  return w + (((1.0 - w) - half) + Fma(z * z, Horner(z, c), -r * low));
}

}  // namespace

double Exp(double x) {
#ifdef __x86_64__
  static const bool has_fma = __builtin_cpu_supports("fma") != 0;
  if (has_fma) return ExpWithFma(x);
#endif
  return x != x ? x : ExpOfSum(x, 0);
}

double Log(double x) {
  if (x != x || x == kInfinity) return x;
  if (x == 0) return -kInfinity;
  if (x < 0) return kNan;
  return LogExtended(x).high;
}

double Pow(double x, double y) {
  if (y == 0 || x == 1) return 1;
  if (x != x || y != y || x < 0) return kNan;
  if (x == 0) return y > 0 ? 0 : kInfinity;
  if (x == kInfinity) return y > 0 ? kInfinity : 0;
  const Sum log = LogExtended(x);
  const double product = y * log.high;
  if (product > 710) return kInfinity;
  if (product < -746) return 0;
  return ExpOfSum(product, Fma(y, log.high, -product) + y * log.low);
}

double Sin(double x) {
  if (!(x - x == 0)) return kNan;
  if (x == 0) return x;
  const Reduced a = ReduceAngle(x);
  const double y = (a.quadrant & 1) != 0 ? CosReduced(a.r, a.low) : SinReduced(a.r, a.low);
  return (a.quadrant & 2) != 0 ? -y : y;
}

double Cos(double x) {
  if (!(x - x == 0)) return kNan;
  const Reduced a = ReduceAngle(x);
  const double y = (a.quadrant & 1) != 0 ? SinReduced(a.r, a.low) : CosReduced(a.r, a.low);
  return a.quadrant == 1 || a.quadrant == 2 ? -y : y;
}

// (e^2x - 1) / (e^2x + 1), from e^2x - 1 without cancellation.
double Tanh(double x) {
  if (x != x || x == 0) return x;
  const double t = x < 0 ? -x : x;
  if (t > 20) return x < 0 ? -1 : 1;
  const double n = Nearest(2 * t * 0x1.71547652b82fep+0);
  const double r = Fma(n, -kLog2Low, Fma(n, -kLog2High, 2 * t));
  const double power = PowerOfTwo(static_cast<int>(n));
  const double a = Fma(power, ExpMinus1Reduced(r), power - 1.0);
  // The quotient, corrected by what rounding the divisor and the division lost.
  const double divisor = a + 2.0, quotient = a / divisor,
               divisor_low = a > 2.0 ? 2.0 - (divisor - a) : a - (divisor - 2.0);
  const double y = quotient + (Fma(-quotient, divisor, a) - quotient * divisor_low) / divisor;
  return x < 0 ? -y : y;
}

// Minimax fits of our own (Remez, Chebyshev): erf(x) / x - 1 in x^2 below 1; -log erfc above, where erfc's relative
// error weighs little.
double Erf(double x) {
  if (x != x || x == 0) return x;
  const double t = x < 0 ? -x : x;
  double y = 1;
  if (t < 1) {
    constexpr double c[] = {0x1.057a222d86f80p-34,  -0x1.386aebaf06419p-30, 0x1.f7a41fa12c3c2p-27,
                            -0x1.5f1d37f7345b5p-23, 0x1.b9def1c0ff0d0p-20,  -0x1.f4d1df3be9831p-17,
                            0x1.f9a321a13f209p-14,  -0x1.c02db3d8ee3b0p-11, 0x1.565bcd0db0341p-8,
                            -0x1.b82ce3128499fp-6,  0x1.ce2f21a042b20p-4,   -0x1.812746b0379e6p-2,
                            0x1.06eba8214db69p-3};
    return Fma(x, Horner(x * x, c), x);
  }
  if (t < 2.5) {
    constexpr double c[] = {-0x1.f55034f5579ffp-34, 0x1.d652f44cb6778p-30,  -0x1.951a6ec3fd788p-27,
                            0x1.920cab7777338p-25,  -0x1.8d91589012e74p-24, -0x1.3500e57364567p-23,
                            0x1.13e4e3630e712p-19,  -0x1.423271c6d55b7p-17, 0x1.c7900aaeead91p-16,
                            -0x1.b8d2695e9c28ep-16, -0x1.f1b40feda73f3p-13, 0x1.033f67955ea88p-9,
                            -0x1.48c9d3fc53386p-7,  0x1.5477f09c5e31fp-5,   0x1.afabc11a2922dp-1,
                            0x1.51c9b0006c23ap+1,   0x1.d97fbf27aa2a1p+0};
    y = 1.0 - Exp(-Horner(t - 1.0, c));
  } else if (t < 6) {
    constexpr double c[] = {
        -0x1.39cc5af259e15p-42, 0x1.248071b09dbccp-37,  -0x1.e91b545ce5704p-34, 0x1.d0766639d481fp-31,
        -0x1.cd981c2bc7022p-29, -0x1.1359d15073e71p-28, 0x1.8aebfb6c7c165p-23,  -0x1.e46601a39a9a3p-20,
        0x1.ad24d28c1cbcep-17,  -0x1.433000437bfc5p-14, 0x1.b96433d0cb90fp-12,  -0x1.1bd577448142dp-9,
        0x1.63cc1f209ab85p-7,   0x1.e3460a182a932p-1,   0x1.56925248db5e2p+2,   0x1.f3a2dc8691b7bp+2};
    y = 1.0 - Exp(-Horner(t - 2.5, c));
  }
  return x < 0 ? -y : y;
}

}  // namespace kinetok
