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

// The errors that f32 may make in one row, to first order, in units u = 2^-24. With t = x - max, rounded (|t| units),
// an exponential is off by |t| and exp's own 2 (one ulp), relatively; the sum by the mean of that under the softmax and
// k = ceil(width / 64) + 6 additions: its accumulator's, 2 that join the four vectors and 4 of the tree. The logarithm
// turns the sum's relative error into an absolute one and adds 2 units of its own result.
struct Units {
  std::vector<double> t, p;
  double sum = 0, log_sum = 0;  // of the sum, relatively; of its logarithm

  explicit Units(const std::vector<double>& row) : t(row), p(reference::LogSoftmax(row)) {
    const double max = *std::max_element(row.begin(), row.end());
    sum = std::ceil(static_cast<double>(row.size()) / 64) + 6;
    for (size_t c = 0; c < row.size(); ++c) {
      t[c] = std::fabs(row[c] - max);
      p[c] = std::exp(p[c]);
      sum += p[c] * (t[c] + 2);
    }
    log_sum = sum + 2 * std::fabs(-std::log(*std::max_element(p.begin(), p.end())));
  }
};

TEST(CrossEntropyTest, LossAndGradientStayWithinTheirRoundingBound) {
  for (const Shape s : kShapes) {
    const std::vector<float> x = Numbers(s.rows * s.width, 1, -8, 8), weights = Numbers(s.rows, 2, 0.1, 1);
    const std::vector<int32_t> labels = Labels(s.rows, s.width);
    std::vector<float> gradient = x, losses(s.rows);
    Context context(2, BestIsa());
    CrossEntropy(context, labels, weights, View(gradient, s.width), losses);
    std::vector<double> loss, loss_bound, want, bound;
    for (int64_t i = 0; i < s.rows; ++i) {
      const std::vector<double> row = Row(x, i, s.width),
                                g = reference::CrossEntropyBackward(weights[i], row, labels[i]);
      const Units units(row);
      loss.push_back(reference::CrossEntropy(row, labels[i]));
      // max - x[label] is rounded, and the sum of that and the logarithm.
      loss_bound.push_back(labels[i] < 0 ? 0 : kUnit * (units.t[labels[i]] + units.log_sum + loss[i]));
      for (int64_t c = 0; c < s.width; ++c) {
        // weight p: the exponential, the sum, the division by it and the product; at the label the subtraction.
        want.push_back(g[c]);
        bound.push_back(labels[i] < 0 ? 0
                                      : kUnit * (weights[i] * units.p[c] * (units.t[c] + 2 + units.sum + 2) +
                                                 (c == labels[i] ? std::fabs(g[c]) : 0)));
      }
    }
    const std::string name = std::to_string(s.rows) + " x " + std::to_string(s.width);
    ExpectWithin(losses, loss, loss_bound, "losses of " + name);
    ExpectWithin(gradient, want, bound, "gradient of " + name);
  }
}

// h = 1e-5. Truncation: h^2 / 6 = 1.7e-11 times a third derivative, p (1 - p) (1 - 6 p + 6 p^2), below 0.13. Rounding:
// the loss, below 8, is off by a few 2^-53 of it and of its sum: 3e-15 / h = 3e-10.
TEST(CrossEntropyTest, TheTwinsGradientIsTheDerivativeOfItsLoss) {
  std::vector<double> x = Doubles(Numbers(37, 3, -3, 3));
  for (const int64_t label : {5, 36, -1}) {
    const auto loss = [&] { return 0.7 * reference::CrossEntropy(x, label); };
    ExpectNear(Slopes(x, loss), reference::CrossEntropyBackward(0.7, x, label), 1e-9);
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
    ExpectSameBitsEverywhere(SharesRows(s), [&](Context& context) {
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

// The distance from the maximum, the logarithm, and the subtraction of one from the other.
TEST(LogSoftmaxTest, StaysWithinItsRoundingBoundInPlace) {
  for (const Shape s : kShapes) {
    const std::vector<float> x = Numbers(s.rows * s.width, 8, -8, 8);
    std::vector<float> y = x;
    Context context(2, BestIsa());
    LogSoftmax(context, View(y, s.width), View(y, s.width));
    std::vector<double> want, bound;
    for (int64_t i = 0; i < s.rows; ++i) {
      const std::vector<double> row = Row(x, i, s.width);
      const Units units(row);
      for (const double v : reference::LogSoftmax(row)) {
        bound.push_back(kUnit * (units.t[want.size() % s.width] + units.log_sum + std::fabs(v)));
        want.push_back(v);
      }
    }
    ExpectWithin(y, want, bound, std::to_string(s.rows) + " x " + std::to_string(s.width));
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
