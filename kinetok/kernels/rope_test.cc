#include "kinetok/kernels/rope.h"

#include "kinetok/kernels/reference/rope.h"
#include "kinetok/kernels/test_support.h"

namespace kinetok {
namespace {

using namespace test;

const std::vector<int32_t> kPositions = {0, 1, 7, 500};

// cos and sin are rounded to f32, then one product and one fused multiply-add: three units of |a| + |b|.
TEST(RopeTest, StaysWithinItsRoundingBound) {
  for (const int64_t dim : {2, 30, 64}) {
    const int64_t heads = 3;
    const RopeTable table(512, dim, 10000.0);
    const std::vector<float> before = Numbers(4 * heads * dim, 1);
    std::vector<float> x = before;
    Context context(1, BestIsa());
    Rope(context, table, kPositions, heads, dim, false, View(x, heads * dim));
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t at = (i * heads + h) * dim;
        const std::vector<double> want =
            reference::Rope({before.begin() + at, before.begin() + at + dim}, kPositions[i], 10000.0);
        for (int64_t j = 0; j < dim; ++j) ASSERT_NEAR(x[at + j], want[j], 6 * kUnit);
      }
    }
  }
}

TEST(RopeTest, TheInverseIsTheTransposedRotation) {
  const RopeTable table(512, 16, 10000.0);
  const std::vector<float> a = Numbers(4 * 16, 2), b = Numbers(4 * 16, 3);
  std::vector<float> ra = a, rb = b;
  Context context(1, BestIsa());
  Rope(context, table, kPositions, 1, 16, false, View(ra, 16));
  Rope(context, table, kPositions, 1, 16, true, View(rb, 16));
  for (int i = 0; i < 4; ++i) {  // <R a, b> = <a, R^T b>: the backward pass of a linear map
    double left = 0, right = 0;
    for (int j = 16 * i; j < 16 * i + 16; ++j) left += double{ra[j]} * b[j], right += double{a[j]} * rb[j];
    EXPECT_NEAR(left, right, 16 * 6 * kUnit);
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
    ExpectSameBitsEverywhere([&](Context& context) {
      std::vector<float> x = before;
      Rope(context, table, positions, 2, 30, rows == 1, View(x, 60));
      return x;
    });
  }
}

}  // namespace
}  // namespace kinetok
