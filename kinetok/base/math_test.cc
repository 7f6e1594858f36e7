#include "kinetok/base/math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

namespace kinetok {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// |got - want| in units of the last place of `want` rounded to double.
double Ulps(double got, long double want) {
  const auto rounded = static_cast<double>(want);
  if (got == rounded) return 0;
  const int exponent = std::max(rounded == 0 ? -1022 : std::ilogb(rounded), -1022);
  return static_cast<double>(std::fabs(static_cast<long double>(got) - want) / std::ldexp(1.0L, exponent - 52));
}

// The worst error over `samples` arguments spread evenly over [low, high].
double WorstUlps(double (*ours)(double), long double (*exact)(long double), double low, double high,
                 int samples = 40000) {
  double worst = 0;
  for (int i = 0; i <= samples; ++i) {
    const double x = low + (high - low) * (i + 0.37) / (samples + 1);
    worst = std::max(worst, Ulps(ours(x), exact(x)));
  }
  return worst;
}

// Arguments of every magnitude: 2^e times three significands, of both signs.
double WorstUlpsOverExponents(double (*ours)(double), long double (*exact)(long double), int low, int high,
                              bool negative) {
  double worst = 0;
  for (int e = low; e <= high; ++e) {
    for (const double significand : {1.0, 1.2345678901234567, 1.9999999999999998}) {
      const double x = std::ldexp(significand, e);
      worst = std::max(worst, Ulps(ours(x), exact(x)));
      if (negative) worst = std::max(worst, Ulps(ours(-x), exact(-x)));
    }
  }
  return worst;
}

TEST(MathTest, ExpIsWithinTwoUlps) {
  EXPECT_LE(WorstUlps(Exp, expl, -708, 709), 1.5);
  EXPECT_LE(WorstUlps(Exp, expl, -1, 1), 1.5);
  EXPECT_LE(WorstUlps(Exp, expl, -745, -708), 1.5);  // subnormal results
  EXPECT_LE(WorstUlpsOverExponents(Exp, expl, -1074, 9, true), 1.5);
}

TEST(MathTest, ExpHasItsLimits) {
  EXPECT_EQ(Exp(0), 1.0);
  EXPECT_EQ(Exp(-0.0), 1.0);
  EXPECT_EQ(Exp(kInfinity), kInfinity);
  EXPECT_EQ(Exp(-kInfinity), 0.0);
  EXPECT_EQ(Exp(710), kInfinity);
  EXPECT_EQ(Exp(-746), 0.0);
  EXPECT_TRUE(std::isfinite(Exp(709.78)));
  EXPECT_TRUE(std::isnan(Exp(NAN)));
}

TEST(MathTest, LogIsWithinTwoUlps) {
  EXPECT_LE(WorstUlps(Log, logl, 0.5, 2), 1.5);
  EXPECT_LE(WorstUlps(Log, logl, 1 - 1e-6, 1 + 1e-6), 1.5);
  EXPECT_LE(WorstUlps(Log, logl, 1e-3, 1e6), 1.5);
  EXPECT_LE(WorstUlpsOverExponents(Log, logl, -1074, 1023, false), 1.5);
}

TEST(MathTest, LogHasItsLimits) {
  EXPECT_EQ(Log(1), 0.0);
  EXPECT_EQ(Log(0), -kInfinity);
  EXPECT_EQ(Log(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(Log(-1)));
  EXPECT_TRUE(std::isnan(Log(-kInfinity)));
  EXPECT_TRUE(std::isnan(Log(NAN)));
}

TEST(MathTest, PowIsWithinItsRelativeError) {
  double worst = 0;
  for (int i = 1; i < 400; ++i) {
    for (int j = -60; j <= 60; ++j) {
      const double x = std::ldexp(1.0 + i / 400.0, i % 41 - 20), y = j * 0.37 + 1e-3;
      const long double want = powl(x, y);
      if (std::fabs(y * std::log(x)) > 700) continue;
      worst = std::max(worst, static_cast<double>(std::fabs((Pow(x, y) - want) / want)));
    }
  }
  for (const double x : {1.0000001, 0.99999, 1.5, 2e10}) {  // large |y log x|
    for (const double target : {-699.0, -300.5, 300.5, 699.0}) {
      const double y = target / std::log(x);
      const long double want = powl(x, y);
      worst = std::max(worst, static_cast<double>(std::fabs((Pow(x, y) - want) / want)));
    }
  }
  EXPECT_LE(worst, 4e-15);
}

TEST(MathTest, PowHasItsLimits) {
  EXPECT_EQ(Pow(0.9, 0), 1.0);
  EXPECT_EQ(Pow(0, 2.5), 0.0);
  EXPECT_EQ(Pow(2, 10), 1024.0);
  EXPECT_EQ(Pow(10, 400), kInfinity);
  EXPECT_EQ(Pow(10, -400), 0.0);
  EXPECT_EQ(Pow(1, kInfinity), 1.0);
  EXPECT_EQ(Pow(kInfinity, -1), 0.0);
  EXPECT_TRUE(std::isnan(Pow(-1, 0.5)));
  EXPECT_TRUE(std::isnan(Pow(NAN, 2)));
}

TEST(MathTest, SinAndCosAreWithinTwoUlps) {
  const double limit = 1048576 * 3.14159265358979;
  for (const auto& [ours, exact] : {std::pair{&Sin, &sinl}, std::pair{&Cos, &cosl}}) {
    EXPECT_LE(WorstUlps(ours, exact, -10, 10), 1.5);
    EXPECT_LE(WorstUlps(ours, exact, 1000, 1100), 1.5);
    EXPECT_LE(WorstUlps(ours, exact, -limit, limit), 1.5);
    EXPECT_LE(WorstUlpsOverExponents(ours, exact, -1074, 21, true), 1.5);
  }
}

// There the result is what the reduction leaves, all of whose digits come from pi's second and third parts.
TEST(MathTest, SinAndCosSurviveArgumentsNextToMultiplesOfHalfPi) {
  double worst = 0;
  for (int n = 1; n < 2000000; n += 997) {
    const auto x = static_cast<double>(n * (M_PIl / 2));
    // x87 reduces with 66 bits of pi, too few here. Three parts of pi / 2, the first two taken away exactly.
    const long double first = std::fma(-static_cast<double>(n), 0x1.921fb54442d18p+0, x);
    const long double r = (first - n * 0x1.1a62633145p-54L) - n * 0xc.06e0e68948127p-98L;
    const double near_zero = n % 2 == 0 ? Sin(x) : Cos(x);
    worst = std::max(worst, std::fabs(std::fabs(near_zero) / static_cast<double>(std::fabs(r)) - 1));
  }
  EXPECT_LE(worst, 2 * 0x1p-52);
}

TEST(MathTest, SinAndCosHaveTheirLimits) {
  EXPECT_EQ(Sin(0), 0.0);
  EXPECT_TRUE(std::signbit(Sin(-0.0)));
  EXPECT_EQ(Cos(0), 1.0);
  EXPECT_TRUE(std::isnan(Sin(kInfinity)));
  EXPECT_TRUE(std::isnan(Cos(NAN)));
}

TEST(MathTest, TanhIsWithinTwoUlpsAndOdd) {
  EXPECT_LE(WorstUlps(Tanh, tanhl, -22, 22), 2);
  EXPECT_LE(WorstUlps(Tanh, tanhl, -1, 1), 2);
  EXPECT_LE(WorstUlpsOverExponents(Tanh, tanhl, -1074, 10, true), 2);
  EXPECT_EQ(Tanh(kInfinity), 1.0);
  EXPECT_EQ(Tanh(-kInfinity), -1.0);
  EXPECT_TRUE(std::signbit(Tanh(-0.0)));
  EXPECT_TRUE(std::isnan(Tanh(NAN)));
}

TEST(MathTest, ErfIsWithinTwoUlpsAndOdd) {
  EXPECT_LE(WorstUlps(Erf, erfl, -1, 1), 2);
  EXPECT_LE(WorstUlps(Erf, erfl, 0.99, 2.51), 2);
  EXPECT_LE(WorstUlps(Erf, erfl, -7, 7), 2);
  EXPECT_LE(WorstUlpsOverExponents(Erf, erfl, -1020, 10, true), 2);
  EXPECT_EQ(Erf(kInfinity), 1.0);
  EXPECT_EQ(Erf(-kInfinity), -1.0);
  EXPECT_TRUE(std::isnan(Erf(NAN)));
}

TEST(Math, ExpIsTheSameBitsWithTheProcessorsFmaAndWithout) {
  // The sum was computed with calls of the C library's fma.
  uint64_t hash = 0;
  for (int i = -80000; i <= 80000; ++i) hash = hash * 6364136223846793005u + std::bit_cast<uint64_t>(Exp(i * 0.00937));
  EXPECT_EQ(hash, 0xad01d6345cb1ba5bu);
}

}  // namespace
}  // namespace kinetok
