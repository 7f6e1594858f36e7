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

// Central differences of the double twin are exact to about 1e-9 here; the f32 slope has a few roundings of parts
// that are at most |x| + 2 large.
TEST_P(ActivationTest, BackwardIsTheDerivative) {
  const Activation f = GetParam();
  Context context(1, BestIsa());
  const std::vector<float> x = Numbers(4000, 2, -11, 11), dy = Numbers(4000, 3);
  std::vector<float> dx(x.size());
  ActivateBackward(context, f, View(dy, 100), View(x, 100), View(dx, 100));
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = dy[i] * Slope([&](double t) { return reference::Activate(f, t); }, x[i]);
    ASSERT_NEAR(dx[i], want, 40 * kUnit + 1e-8) << "x = " << x[i];
  }
}

TEST_P(ActivationTest, EveryInstructionSetAndThreadCountGivesTheSameBits) {
  for (const Shape s : kShapes) {
    std::vector<float> x = Numbers(s.rows * s.width, 4, -10, 10);
    x[0] = NAN;
    const std::vector<float> dy = Numbers(x.size(), 5);
    ExpectSameBitsEverywhere([&](Context& context) {
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

TEST(SwiGluTest, MultipliesTheActivatedGateByUp) {
  Context context(1, BestIsa());
  const std::vector<float> x = Numbers(6 * 2 * 37, 7, -5, 5);
  std::vector<float> y(6 * 37);
  SwiGlu(context, View(x, 74), View(y, 37));
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t c = 0; c < 37; ++c) {
      const double want = reference::Activate(Activation::kSilu, x[i * 74 + c]) * x[i * 74 + 37 + c];
      EXPECT_NEAR(y[i * 37 + c], want, 12 * kUnit * std::fabs(want));  // |u| (1 - s) < 0.3 for positive u, 5 below
    }
  }
}

TEST(SwiGluTest, BackwardIsTheDerivativeInPlaceToo) {
  Context context(1, BestIsa());
  std::vector<float> x = Numbers(6 * 2 * 37, 8, -5, 5);
  const std::vector<float> before = x, dy = Numbers(6 * 37, 9);
  SwiGluBackward(context, View(dy, 37), View(before, 74), View(x, 74));
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t c = 0; c < 37; ++c) {
      const double gate = before[i * 74 + c], up = before[i * 74 + 37 + c], d = dy[i * 37 + c];
      const auto silu = [](double t) { return reference::Activate(Activation::kSilu, t); };
      EXPECT_NEAR(x[i * 74 + c], d * up * Slope(silu, gate), 60 * kUnit);
      EXPECT_NEAR(x[i * 74 + 37 + c], d * silu(gate), 60 * kUnit);
    }
  }
}

TEST(SwiGluTest, EveryInstructionSetAndThreadCountGivesTheSameBits) {
  for (const Shape s : kShapes) {
    const std::vector<float> x = Numbers(2 * s.rows * s.width, 10, -5, 5), dy = Numbers(s.rows * s.width, 11);
    ExpectSameBitsEverywhere([&](Context& context) {
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
