#include "kinetok/kernels/cross_entropy.h"

#include <limits>

#include "kinetok/kernels/reference/cross_entropy.h"
#include "kinetok/kernels/test_support.h"

namespace kinetok {
namespace {

using namespace test;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<int32_t> Labels(int64_t rows, int64_t width) {
  std::vector<int32_t> labels(rows);
  for (int64_t i = 0; i < rows; ++i) labels[i] = static_cast<int32_t>(i % 5 == 4 ? -1 : i * 7919 % width);
  return labels;
}

std::vector<double> Row(const std::vector<float>& x, int64_t i, int64_t width) {
  return {x.begin() + i * width, x.begin() + (i + 1) * width};
}

// x - max rounds (|x - max| units of the exponential), exp is off by 2, the sum of `width` positive terms in 64
// accumulators by width / 64 + 7, relatively; log turns that into an absolute error, to which its own rounding and
// those of the last two subtractions come.
double Bound(int64_t width, double range, double result) {
  return kUnit * (range + static_cast<double>(width) / 64 + 9 + 2 * std::fabs(result) + 2 * range);
}

TEST(CrossEntropyTest, LossAndGradientStayWithinTheirRoundingBound) {
  for (const Shape s : kShapes) {
    const std::vector<float> x = Numbers(s.rows * s.width, 1, -8, 8), weights = Numbers(s.rows, 2, 0.1, 1);
    const std::vector<int32_t> labels = Labels(s.rows, s.width);
    std::vector<float> gradient = x, losses(s.rows);
    Context context(2, BestIsa());
    CrossEntropy(context, labels, weights, View(gradient, s.width), losses);
    for (int64_t i = 0; i < s.rows; ++i) {
      const std::vector<double> row = Row(x, i, s.width), log_p = reference::LogSoftmax(row);
      const double want = reference::CrossEntropy(row, labels[i]);
      ASSERT_NEAR(losses[i], want, Bound(s.width, 16, want));
      for (int64_t c = 0; c < s.width; ++c) {
        const double p = std::exp(log_p[c]);
        const double g = labels[i] < 0 ? 0 : weights[i] * (p - (c == labels[i] ? 1.0 : 0.0));
        // The exponential and the sum as above, the scale, its product and the subtraction.
        ASSERT_NEAR(gradient[i * s.width + c], g,
                    kUnit * weights[i] * (p * (24 + static_cast<double>(s.width) / 64 + 9) + 1));
      }
    }
  }
}

TEST(CrossEntropyTest, TheGradientIsTheDerivativeOfTheLoss) {
  const int64_t width = 37;
  const std::vector<float> x = Numbers(width, 3, -3, 3), weights = {0.7f};
  const std::vector<int32_t> labels = {5};
  std::vector<float> gradient = x, losses(1);
  Context context(1, BestIsa());
  CrossEntropy(context, labels, weights, View(gradient, width), losses);
  for (int64_t c = 0; c < width; ++c) {
    std::vector<double> at = Doubles(x);
    const auto loss = [&](double v) { return at[c] = v, reference::CrossEntropy(at, 5); };
    EXPECT_NEAR(gradient[c], 0.7f * Slope(loss, x[c]), 1e-6);
  }
}

TEST(CrossEntropyTest, WithoutWeightsTheLogitsStayAndTheLossIsTheSame) {
  const int64_t width = 65;
  std::vector<float> x = Numbers(6 * width, 4, -3, 3), with = x, losses(6), losses2(6);
  const std::vector<float> before = x, weights(6, 1.0f);
  const std::vector<int32_t> labels = Labels(6, width);
  Context context(1, BestIsa());
  CrossEntropy(context, labels, {}, View(x, width), losses);
  CrossEntropy(context, labels, weights, View(with, width), losses2);
  EXPECT_TRUE(SameBits(x, before));
  EXPECT_TRUE(SameBits(losses, losses2));
  EXPECT_EQ(losses[4], 0.0f);  // ignored
  for (int64_t c = 0; c < width; ++c) EXPECT_EQ(with[4 * width + c], 0.0f);
}

TEST(CrossEntropyTest, EveryInstructionSetAndThreadCountGivesTheSameBits) {
  for (const Shape s : kShapes) {
    const std::vector<float> x = Numbers(s.rows * s.width, 5, -20, 20), weights = Numbers(s.rows, 6);
    const std::vector<int32_t> labels = Labels(s.rows, s.width);
    ExpectSameBitsEverywhere([&](Context& context) {
      std::vector<float> logits = x, losses(s.rows), y(x.size());
      LogSoftmax(context, View(x, s.width), View(y, s.width));
      CrossEntropy(context, labels, weights, View(logits, s.width), losses);
      y.insert(y.end(), logits.begin(), logits.end());
      y.insert(y.end(), losses.begin(), losses.end());
      return y;
    });
  }
}

TEST(CrossEntropyTest, NanAndInfinityShowInTheLossAndMaskedLogitsDoNot) {
  for (const Isa isa : SupportedIsas()) {
    Context context(1, isa);
    std::vector<float> x = Numbers(3 * 20, 7), losses(3);
    x[3] = NAN;
    x[20 + 3] = kInfinity;
    x[40 + 3] = -kInfinity;
    const std::vector<int32_t> labels = {1, 1, 1};
    CrossEntropy(context, labels, {}, View(x, 20), losses);
    EXPECT_TRUE(std::isnan(losses[0]));
    EXPECT_FALSE(std::isfinite(losses[1]));
    EXPECT_TRUE(std::isfinite(losses[2]));
  }
}

TEST(LogSoftmaxTest, StaysWithinItsRoundingBoundInPlace) {
  for (const Shape s : kShapes) {
    const std::vector<float> x = Numbers(s.rows * s.width, 8, -8, 8);
    std::vector<float> y = x;
    Context context(2, BestIsa());
    LogSoftmax(context, View(y, s.width), View(y, s.width));
    for (int64_t i = 0; i < s.rows; ++i) {
      const std::vector<double> want = reference::LogSoftmax(Row(x, i, s.width));
      for (int64_t c = 0; c < s.width; ++c) {
        ASSERT_NEAR(y[i * s.width + c], want[c], Bound(s.width, 16, want[c]));
      }
    }
  }
}

TEST(LogSoftmaxTest, LogitsFarBelowTheMaximumKeepTheirDistance) {
  Context context(1, BestIsa());
  std::vector<float> x = {1000.0f, 0.0f, -kInfinity}, y(3);
  LogSoftmax(context, View(x, 3), View(y, 3));
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_EQ(y[1], -1000.0f);
  EXPECT_EQ(y[2], -kInfinity);
}

}  // namespace
}  // namespace kinetok
