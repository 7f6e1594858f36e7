#include "kinetok/kernels/activation.h"

#include <limits>

#include "kinetok/kernels/reference/activation.h"
#include "kinetok/kernels/test_support.h"

namespace kinetok {
namespace {

using namespace test;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class ActivationTest : public testing::TestWithParam<Activation> {};
INSTANTIATE_TEST_SUITE_P(All, ActivationTest,
                         testing::Values(Activation::kGeluTanh, Activation::kGeluErf, Activation::kSilu));

// x / (1 + e^-u): u carries four roundings, so e^-u is off by (4 |u| + 2) units, which the quotient passes on times
// 1 - sigmoid(u); the sum and the division add two, and constants rounded to f32 two of u's. For the erf form the sum
// 1 + erf cancels: 4 units of |x| absolutely.
TEST_P(ActivationTest, StaysWithinItsRoundingBound) {
  const Activation f = GetParam();
  Context context(1, BestIsa());
  const std::vector<float> x = Numbers(20000, 1, -12, 12);
  std::vector<float> y(x.size());
  Activate(context, f, View(x, 100), View(y, 100));
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = reference::Activate(f, x[i]), v = x[i];
    const double u = f == Activation::kSilu ? v : 1.5957691216 * (v + 0.044715 * v * v * v);
    const double spread = std::fabs(u) / (1 + std::exp(u));
    const double bound = f == Activation::kGeluErf
                             ? 4 * kUnit * std::fabs(v)
                             : kUnit * std::fabs(want) * (6 * spread + 6) + 4e-38;  // e^-u overflows
    ASSERT_LE(std::fabs(y[i] - want), bound) << "x = " << v;
  }
}

// How far f32 may be from f'(x), in units u = 2^-24. Exp is off by 2 (one ulp), Erf by 4 (two ulps), relatively.
double SlopeBound(Activation f, double x) {
  const double slope = std::fabs(reference::ActivateBackward(f, 1, x));
  if (f == Activation::kGeluErf) {
    // cdf = erf(t) / 2 + 1/2: 4 of erf and 2 of its argument, times |t erf'(t)| < 0.49, halved; then a rounding. The
    // density is off by its argument's rounding, x^2 / 2 units, by exp's 2, the constant and a product. One fused step.
    const double pdf = std::exp(-x * x / 2) / std::sqrt(2 * M_PI), cdf = 0.5 * std::erfc(-x / std::sqrt(2.0));
    return 0.5 * (4 + 2 * 0.49) + cdf + std::fabs(x) * pdf * (x * x / 2 + 4) + slope;
  }
  // e = e^-u is off by |u| times u's relative error, 4 for GELU (two constants at once, a square, a fused step, a
  // product; -x is exact), and by exp's 2; s = 1 / (1 + e) by 1 - s of that, a sum and a division; x s (e s) u' by
  // those of e and twice s, three products and u' (4 more: a constant of two roundings, the square, the fused step).
  const bool gelu = f == Activation::kGeluTanh;
  const double u = gelu ? 1.5957691216 * (x + 0.044715 * x * x * x) : x;
  const double du = gelu ? 1.5957691216 * (1 + 3 * 0.044715 * x * x) : 1;
  const double s = 1 / (1 + std::exp(-u)), rest = 1 / (1 + std::exp(u));
  const double e_e = (gelu ? 4 * std::fabs(u) : 0) + 2, e_s = rest * e_e + 2;
  return std::fabs(x * s * rest * du) * (e_e + 2 * e_s + 3 + (gelu ? 4 : 0)) + s * e_s + slope;
}

// The slope's error and the product with dy. Beyond the clamps (9 and 12) the slopes are below 1e-24 away from 0 or 1.
TEST_P(ActivationTest, BackwardStaysWithinItsRoundingBound) {
  const Activation f = GetParam();
  Context context(2, BestIsa());
  for (const Shape s : {Shape{1, 37}, {3, 64}, {40, 700}, {300, 200}}) {
    const std::vector<float> x = Numbers(s.rows * s.width, 2, -16, 16), dy = Numbers(x.size(), 3);
    std::vector<float> dx(x.size());
    std::vector<double> want, bound;
    ActivateBackward(context, f, View(dy, s.width), View(x, s.width), View(dx, s.width));
    for (size_t i = 0; i < x.size(); ++i) {
      want.push_back(reference::ActivateBackward(f, dy[i], x[i]));
      bound.push_back(kUnit * (std::fabs(dy[i]) * SlopeBound(f, x[i]) + std::fabs(want[i])) + 1e-24);
    }
    ExpectWithin(dx, want, bound, std::to_string(s.rows) + " x " + std::to_string(s.width));
  }
}

// h = 1e-5. Truncation: h^2 / 6 = 1.7e-11 times a third derivative below 1.5. Rounding: |f| < 11, off by a few 2^-53:
// 4e-15 / h = 4e-10.
TEST_P(ActivationTest, TheTwinsBackwardIsTheDerivativeOfItsForward) {
  for (const float at : Numbers(2000, 2, -11, 11)) {
    std::vector<double> x = {at};
    const std::vector<double> slope = Slopes(x, [&] { return 0.7 * reference::Activate(GetParam(), x[0]); });
    ASSERT_NEAR(slope[0], reference::ActivateBackward(GetParam(), 0.7, at), 1e-9) << "x = " << at;
  }
}

TEST_P(ActivationTest, EveryInstructionSetAndThreadCountGivesTheSameBits) {
  for (const Shape s : kShapes) {
    std::vector<float> x = Numbers(s.rows * s.width, 4, -10, 10);
    x[0] = NAN;
    const std::vector<float> dy = Numbers(x.size(), 5);
    ExpectSameBitsEverywhere(SharesRows(s), [&](Context& context) {
      std::vector<float> y(x.size()), dx(x.size());
      Activate(context, GetParam(), View(x, s.width), View(y, s.width));
      ActivateBackward(context, GetParam(), View(dy, s.width), View(x, s.width), View(dx, s.width));
      y.insert(y.end(), dx.begin(), dx.end());
      return y;
    });
  }
}

TEST_P(ActivationTest, HugeArgumentsReachTheLimitsAndNanStays) {
  for (const Isa isa : SupportedIsas()) {
    Context context(1, isa);
    std::vector<float> x = {kInfinity, 1e30f, -1e20f, NAN, 0.0f, -0.0f}, y(6), dx(6);
    const std::vector<float> dy(6, 1.0f);
    Activate(context, GetParam(), View(x, 6), View(y, 6));
    ActivateBackward(context, GetParam(), View(dy, 6), View(x, 6), View(dx, 6));
    EXPECT_EQ(y[0], kInfinity);
    EXPECT_EQ(y[1], 1e30f);
    EXPECT_EQ(y[2], 0.0f);
    EXPECT_TRUE(std::isnan(y[3]) && std::isnan(dx[3]));
    EXPECT_EQ(y[4], 0.0f);
    EXPECT_EQ(dx[0], 1.0f);
    EXPECT_EQ(dx[1], 1.0f);
    EXPECT_NEAR(dx[2], 0.0f, 1e-20f);
    EXPECT_EQ(dx[4], 0.5f);
  }
}

TEST_P(ActivationTest, MayRunInPlaceAndLeavesTheRestOfAStridedRow) {
  Context context(2, BestIsa());
  const std::vector<float> x = Numbers(3 * 40, 6, -3, 3);
  std::vector<float> y(3 * 33), in_place = x;
  Activate(context, GetParam(), Rows<const float>(x.data(), 3, 33, 40), View(y, 33));
  Activate(context, GetParam(), Rows<const float>(in_place.data(), 3, 33, 40), Rows<float>(in_place.data(), 3, 33, 40));
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t c = 0; c < 40; ++c) EXPECT_EQ(in_place[i * 40 + c], c < 33 ? y[i * 33 + c] : x[i * 40 + c]);
  }
}

// silu(x) = x / (1 + e^-x): exp's 2 units times 1 - s, a sum and a division.
double SiluUnits(double x) {
  return 2 / (1 + std::exp(x)) + 2;
}

TEST(SwiGluTest, StaysWithinItsRoundingBoundForwardAndInPlaceBackward) {
  Context context(2, BestIsa());
  for (const Shape s : {Shape{1, 17}, {3, 37}, {40, 64}, {300, 200}}) {
    const std::string name = std::to_string(s.rows) + " x " + std::to_string(s.width);
    const std::vector<float> x = Numbers(s.rows * 2 * s.width, 7, -5, 5), dy = Numbers(s.rows * s.width, 9);
    std::vector<float> y(dy.size()), dx = x;
    SwiGlu(context, View(x, 2 * s.width), View(y, s.width));
    SwiGluBackward(context, View(dy, s.width), View(dx, 2 * s.width), View(dx, 2 * s.width));
    std::vector<double> want_y, bound_y, want_dx(x.size()), bound_dx(x.size());
    for (int64_t i = 0; i < s.rows; ++i) {
      for (int64_t c = 0; c < s.width; ++c) {
        const int64_t at_gate = i * 2 * s.width + c, at_up = at_gate + s.width;
        const double gate = x[at_gate], up = x[at_up], d = dy[i * s.width + c];
        want_y.push_back(reference::SwiGlu(gate, up));
        bound_y.push_back(kUnit * (SiluUnits(gate) + 1) * std::fabs(want_y.back()));  // and the product
        const reference::SwiGluGradients g = reference::SwiGluBackward(d, gate, up);
        want_dx[at_gate] = g.dgate;  // two products and the slope
        bound_dx[at_gate] = kUnit * (std::fabs(d * up) * SlopeBound(Activation::kSilu, gate) + 2 * std::fabs(g.dgate));
        want_dx[at_up] = g.dup;
        bound_dx[at_up] = kUnit * (SiluUnits(gate) + 1) * std::fabs(g.dup);
      }
    }
    ExpectWithin(y, want_y, bound_y, "y of " + name);
    ExpectWithin(dx, want_dx, bound_dx, "dx of " + name);
  }
}

// As for the activations, times |dy up| < 4; linear in `up`, where only the rounding is left.
TEST(SwiGluTest, TheTwinsBackwardIsTheDerivativeOfItsForward) {
  const std::vector<float> numbers = Numbers(2000, 8, -4, 4);
  for (size_t i = 0; i < numbers.size(); i += 2) {
    std::vector<double> x = {numbers[i], numbers[i + 1]};
    const std::vector<double> slopes = Slopes(x, [&] { return 0.7 * reference::SwiGlu(x[0], x[1]); });
    const reference::SwiGluGradients g = reference::SwiGluBackward(0.7, x[0], x[1]);
    ASSERT_NEAR(slopes[0], g.dgate, 4e-9);
    ASSERT_NEAR(slopes[1], g.dup, 4e-9);
  }
}

TEST(SwiGluTest, EveryInstructionSetAndThreadCountGivesTheSameBits) {
  for (const Shape s : kShapes) {
    const std::vector<float> x = Numbers(2 * s.rows * s.width, 10, -5, 5), dy = Numbers(s.rows * s.width, 11);
    ExpectSameBitsEverywhere(SharesRows(s), [&](Context& context) {
      std::vector<float> y(dy.size()), dx(x.size());
      SwiGlu(context, View(x, 2 * s.width), View(y, s.width));
      SwiGluBackward(context, View(dy, s.width), View(x, 2 * s.width), View(dx, 2 * s.width));
      y.insert(y.end(), dx.begin(), dx.end());
      return y;
    });
  }
}

}  // namespace
}  // namespace kinetok
