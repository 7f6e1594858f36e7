#include "kinetok/kernels/elementwise.h"

#include <cmath>
#include <cstring>

#include "kinetok/kernels/reference/elementwise.h"
#include "kinetok/kernels/test_support.h"

namespace kinetok {
namespace {

using namespace test;

std::vector<uint64_t> Keys(int64_t rows) {
  std::vector<uint64_t> keys(rows);
  for (int64_t i = 0; i < rows; ++i) keys[i] = 1000 + i;
  return keys;
}

TEST(ElementwiseTest, AddSumsTwoMatricesIntoAThirdOrIntoOneOfThem) {
  for (const Shape s : kShapes) {
    const std::vector<float> a = Numbers(s.rows * s.width, 1), b = Numbers(s.rows * s.width, 2);
    ExpectSameBitsEverywhere(SharesRows(s, 32768), [&](Context& context) {
      std::vector<float> y(a.size()), in_place = a;
      Add(context, View(a, s.width), View(b, s.width), View(y, s.width));
      Add(context, View(in_place, s.width), View(b, s.width), View(in_place, s.width));
      for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(y[i], a[i] + b[i]);
      EXPECT_TRUE(SameBits(y, in_place));
      return y;
    });
  }
}

TEST(ElementwiseTest, SumOfSquaresIsThatOfDoubles) {
  for (const size_t n : {0, 1, 31, 4096, 4097, 200003}) {
    const std::vector<float> x = Numbers(n, 3, -1e3, 1e3);
    const double want = reference::SumOfSquares(x);
    ExpectSameBitsEverywhere(n > 32768, [&](Context& context) {
      const double got = SumOfSquares(context, x);
      // Products are exact; at most 4096 / 32 + 5 additions in a block, n / 4096 over the blocks (Higham 4.2).
      EXPECT_NEAR(got, want, 0x1p-53 * (140 + static_cast<double>(n) / 4096) * want);
      std::vector<float> bits(2);
      std::memcpy(bits.data(), &got, sizeof got);
      return bits;
    });
  }
}

TEST(ElementwiseTest, SumOfSquaresNeitherOverflowsNorHidesNan) {
  Context context(1, BestIsa());
  EXPECT_NEAR(SumOfSquares(context, std::vector<float>(10, 1e30f)), 1e61, 1e55);
  std::vector<float> x(100, 1.0f);
  x[50] = NAN;
  EXPECT_TRUE(std::isnan(SumOfSquares(context, x)));
}

// A binomial count is within six standard deviations of its mean but for one case in 10^9.
void ExpectRate(int64_t count, int64_t n, double p) {
  EXPECT_NEAR(static_cast<double>(count), static_cast<double>(n) * p,
              6 * std::sqrt(static_cast<double>(n) * p * (1 - p)));
}

TEST(DropoutTest, DropsAtItsRateIndependentlyAlongRowsAndColumns) {
  const int64_t rows = 500, width = 512;
  const std::vector<float> x(rows * width, 1.0f);
  std::vector<float> y(x.size());
  Context context(1, BestIsa());
  for (const float p : {0.1f, 0.5f}) {
    Dropout(context, {.p = p, .seed = 1, .step = 2, .site = 3}, Keys(rows), View(x, width), View(y, width));
    int64_t dropped = 0, beside = 0, below = 0;
    for (int64_t i = 0; i < rows * width; ++i) {
      EXPECT_TRUE(y[i] == 0 || y[i] == 1.0f / (1.0f - p));
      dropped += y[i] == 0;
      beside += i % width != 0 && y[i] == 0 && y[i - 1] == 0;
      below += i >= width && y[i] == 0 && y[i - width] == 0;
    }
    ExpectRate(dropped, rows * width, p);
    ExpectRate(beside, rows * (width - 1), p * p);
    ExpectRate(below, (rows - 1) * width, p * p);
  }
}

TEST(DropoutTest, SeedStepSiteAndKeyEachGiveAnotherMask) {
  const int64_t width = 4096;
  const std::vector<float> x(width, 1.0f);
  Context context(1, BestIsa());
  const auto mask = [&](DropoutSite site, uint64_t key) {
    std::vector<float> y(width);
    const std::vector<uint64_t> keys = {key};
    Dropout(context, site, keys, View(x, width), View(y, width));
    return y;
  };
  const DropoutSite base = {.p = 0.5f, .seed = 1, .step = 1, .site = 1};
  const std::vector<float> first = mask(base, 1);
  for (const auto& other :
       {mask({0.5f, 2, 1, 1}, 1), mask({0.5f, 1, 2, 1}, 1), mask({0.5f, 1, 1, 2}, 1), mask(base, 2)}) {
    int64_t equal = 0;
    for (int64_t c = 0; c < width; ++c) equal += first[c] == other[c];
    ExpectRate(equal, width, 0.5);
  }
  EXPECT_EQ(mask(base, 1), first);
}

TEST(DropoutTest, BatchingThreadsAndInstructionSetsDropTheSameElements) {
  for (const Shape s : kShapes) {
    const std::vector<float> x = Numbers(s.rows * s.width, 4);
    const std::vector<uint64_t> keys = Keys(s.rows);
    const DropoutSite site = {.p = 0.2f, .seed = 9, .step = 8, .site = 7};
    ExpectSameBitsEverywhere(SharesRows(s), [&](Context& context) {
      std::vector<float> y(x.size()), alone(s.width);
      Dropout(context, site, keys, View(x, s.width), View(y, s.width));
      const int64_t last = s.rows - 1;
      Dropout(context, site, Span<const uint64_t>(keys).subspan(last), View(x, s.width).Slice(last, 1),
              View(alone, s.width));
      EXPECT_TRUE(SameBits(alone, {y.end() - s.width, y.end()}));
      return y;
    });
  }
}

// 1 - p, its reciprocal and the product: three units. The backward pass is the same call on dy.
TEST(DropoutTest, StaysWithinItsRoundingBoundForwardAndBackward) {
  Context context(2, BestIsa());
  for (const Shape s : {Shape{1, 37}, {3, 64}, {40, 700}, {300, 200}}) {
    const DropoutSite site = {.p = 0.3f, .seed = 4, .step = 3, .site = 2};
    const std::vector<float> x = Numbers(s.rows * s.width, 6), dy = Numbers(x.size(), 7), ones(x.size(), 1.0f);
    std::vector<float> mask(x.size()), y(x.size()), dx(x.size());
    Dropout(context, site, Keys(s.rows), View(ones, s.width), View(mask, s.width));
    Dropout(context, site, Keys(s.rows), View(x, s.width), View(y, s.width));
    Dropout(context, site, Keys(s.rows), View(dy, s.width), View(dx, s.width));
    std::vector<bool> keep;
    keep.reserve(mask.size());
    for (const float v : mask) keep.push_back(v != 0);
    const auto check = [&](const std::vector<float>& actual, const std::vector<double>& want) {
      std::vector<double> bound;
      bound.reserve(want.size());
      for (const double v : want) bound.push_back(3 * kUnit * std::fabs(v));
      ExpectWithin(actual, want, bound, std::to_string(s.rows) + " x " + std::to_string(s.width));
    };
    check(y, reference::Dropout(Doubles(x), keep, site.p));
    check(dx, reference::DropoutBackward(Doubles(dy), keep, site.p));
  }
}

// Linear: rounding alone, a few 2^-53 of 40 numbers below 2, over h = 1e-3.
TEST(DropoutTest, TheTwinsBackwardIsTheDerivativeOfItsForward) {
  std::vector<double> x = Doubles(Numbers(40, 8));
  const std::vector<double> dy = Doubles(Numbers(40, 9));
  std::vector<bool> keep(40);
  for (size_t i = 0; i < keep.size(); ++i) keep[i] = i % 3 != 0;
  const auto loss = [&] { return Dot(reference::Dropout(x, keep, 0.3), dy); };
  ExpectNear(Slopes(x, loss, 1e-3), reference::DropoutBackward(dy, keep, 0.3), 1e-11);
}

TEST(DropoutTest, ZeroProbabilityIsTheIdentityAndADroppedNanIsGone) {
  Context context(1, BestIsa());
  const std::vector<float> x = Numbers(3 * 33, 5);
  std::vector<float> y(x.size());
  Dropout(context, {}, Keys(3), View(x, 33), View(y, 33));
  EXPECT_TRUE(SameBits(x, y));
  const std::vector<float> nans(1000, NAN);
  std::vector<float> kept(1000);
  Dropout(context, {.p = 0.5f, .seed = 1}, Keys(1), View(nans, 1000), View(kept, 1000));
  int64_t zeros = 0;
  for (const float v : kept) zeros += v == 0;
  ExpectRate(zeros, 1000, 0.5);
}

}  // namespace
}  // namespace kinetok
