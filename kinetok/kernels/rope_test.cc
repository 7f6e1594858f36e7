#include "kinetok/kernels/rope.h"

#include "kinetok/kernels/reference/rope.h"
#include "kinetok/kernels/test_support.h"

namespace kinetok {
namespace {

using namespace test;

const std::vector<int32_t> kPositions = {0, 1, 7, 500, 1023, 2048, 4094, 4095};

// u = 2^-24. The table's cos and sin are rounded to f32 (at most u of each), after an angle whose relative error in
// double is 1e-14 of the power and two roundings: 1.1e-14 * 4095 = 4.5e-11 at most, a thousandth of u. Then a product
// is rounded, and the fused step: u (2 |a cos| + |b sin| + |result|), and the same with a and b changed.
TEST(RopeTest, StaysWithinItsRoundingBoundForwardAndBackAtPositionsUpTo4095) {
  const int64_t heads = 3, rows = static_cast<int64_t>(kPositions.size());
  Context context(1, BestIsa());
  for (const int64_t dim : {2, 30, 64, 128}) {
    const RopeTable table(4096, dim, 10000.0);
    for (const bool inverse : {false, true}) {
      const std::vector<float> before = Numbers(rows * heads * dim, 1);
      std::vector<float> x = before;
      std::vector<double> want, bound;
      Rope(context, table, kPositions, heads, dim, inverse, View(x, heads * dim));
      for (int64_t i = 0; i < rows * heads; ++i) {
        const std::vector<double> v(before.begin() + i * dim, before.begin() + (i + 1) * dim);
        const std::vector<double> y = reference::Rope(v, kPositions[i / heads], 10000.0, inverse);
        for (int64_t j = 0; j < dim; ++j) {
          const int64_t pair = j % (dim / 2);
          const double angle = kPositions[i / heads] * std::pow(10000.0, -2.0 * pair / dim);
          const double own = std::fabs(v[j]), other = std::fabs(v[(j + dim / 2) % dim]);
          want.push_back(y[j]);
          bound.push_back(
              kUnit * (2 * own * std::fabs(std::cos(angle)) + other * std::fabs(std::sin(angle)) + std::fabs(y[j])) +
              1.1e-14 * angle * (own + other));
        }
      }
      ExpectWithin(x, want, bound, "head_dim " + std::to_string(dim) + (inverse ? ", back" : ""));
    }
  }
}

// The rotation is linear, so that a central difference has rounding alone: a few 2^-53 of 16 numbers below 1, over
// h = 1e-3.
TEST(RopeTest, TheTwinsInverseIsTheDerivativeOfItsForward) {
  for (const int32_t position : kPositions) {
    std::vector<double> x = Doubles(Numbers(16, 2));
    const std::vector<double> dy = Doubles(Numbers(16, 3));
    const auto loss = [&] { return Dot(reference::Rope(x, position, 10000.0), dy); };
    ExpectNear(Slopes(x, loss, 1e-3), reference::Rope(dy, position, 10000.0, true), 1e-11);
  }
}

TEST(RopeTest, PositionZeroChangesNothingAndOtherColumnsStay) {
  const RopeTable table(4, 8, 10000.0);
  const std::vector<float> before = Numbers(2 * 20, 4);
  std::vector<float> x = before;
  const std::vector<int32_t> positions = {0, 3};
  Context context(1, BestIsa());
  Rope(context, table, positions, 2, 8, false, View(x, 20));
  for (int j = 0; j < 20; ++j) EXPECT_EQ(x[j], before[j]);
  for (int j = 16; j < 20; ++j) EXPECT_EQ(x[20 + j], before[20 + j]);
  EXPECT_NE(x[20], before[20]);
}

TEST(RopeTest, EveryInstructionSetAndThreadCountGivesTheSameBits) {
  for (const int64_t rows : {1, 700}) {
    const RopeTable table(rows, 30, 10000.0);
    std::vector<int32_t> positions(rows);
    for (int64_t i = 0; i < rows; ++i) positions[i] = static_cast<int32_t>(i);
    const std::vector<float> before = Numbers(rows * 60, 5);
    ExpectSameBitsEverywhere(SharesRows({rows, 60}), [&](Context& context) {
      std::vector<float> x = before;
      Rope(context, table, positions, 2, 30, rows == 1, View(x, 60));
      return x;
    });
  }
}

}  // namespace
}  // namespace kinetok
