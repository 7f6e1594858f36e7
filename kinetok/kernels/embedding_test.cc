#include "kinetok/kernels/embedding.h"

#include "kinetok/kernels/reference/embedding.h"
#include "kinetok/kernels/test_support.h"

namespace kinetok {
namespace {

using namespace test;

// Ids below 37, some of them often: enough that threads share every look-up of 70 columns.
std::vector<int32_t> Ids(int64_t n) {
  std::vector<int32_t> ids(n);
  for (int64_t i = 0; i < n; ++i) ids[i] = static_cast<int32_t>(i * i * 3 % 37);
  return ids;
}

std::vector<float> Floats(const std::vector<double>& x) {
  return {x.begin(), x.end()};
}

TEST(EmbeddingTest, CopiesTheRowOfEveryId) {
  for (const Shape s : {Shape{7, 1}, {7, 15}, {7, 16}, {600, 70}}) {
    const std::vector<float> table = Numbers(37 * s.width, 1);
    const std::vector<int32_t> ids = Ids(s.rows);
    const std::vector<float> want = Floats(reference::Embed(ids, Doubles(table), s.width));
    ExpectBitsEverywhere(want, SharesRows(s), [&](Context& context) {
      std::vector<float> y(want.size());
      Embed(context, ids, View(table, s.width), View(y, s.width));
      return y;
    });
  }
}

TEST(EmbeddingTest, ReadsPackedWeightsOfEveryType) {
  const int64_t width = 70;
  const std::vector<float> table = Numbers(37 * width, 2);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    std::vector<float> narrow(table.size());
    for (size_t i = 0; i < table.size(); ++i) {
      uint32_t word = 0;
      StoreElement(dtype, &word, 0, table[i]);
      narrow[i] = LoadElement(dtype, &word, 0);
    }
    for (const int64_t rows : {7, 200}) {
      const std::vector<int32_t> ids = Ids(rows);
      const std::vector<float> want = Floats(reference::Embed(ids, Doubles(narrow), width));
      ExpectBitsEverywhere(want, SharesRows({rows, width}, 2048), [&](Context& context) {
        Context alone(1, context.isa());  // packing is not what is shared here
        PackedMatrix packed(37, width, dtype);
        packed.SetRows(alone, 0, {table.data(), DType::kF32, 37, width, width, 1});
        std::vector<float> y(want.size());
        Embed(context, ids, packed, View(y, width));
        return y;
      });
    }
  }
}

// Threads share out blocks of 64 columns.
TEST(EmbeddingTest, BackwardAddsRowsInOrderEvenWhereIdsRepeat) {
  for (const int64_t width : {1, 17, 200}) {
    const int64_t rows = 300;
    const std::vector<int32_t> ids = Ids(rows);
    const std::vector<float> dy = Numbers(rows * width, 3);
    std::vector<float> want(37 * width, 0.5f);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t c = 0; c < width; ++c) want[ids[i] * width + c] += dy[i * width + c];
    }
    ExpectBitsEverywhere(want, width == 200, [&](Context& context) {
      std::vector<float> table(37 * width, 0.5f);
      EmbedBackward(context, ids, View(dy, width), View(table, width));
      return table;
    });
  }
}

TEST(EmbeddingTest, RowsWithoutAnIdAreLeftAlone) {
  const std::vector<float> table = Numbers(3 * 20, 7), before = Numbers(4 * 20, 8);
  const std::vector<int32_t> ids = {2, -1, 0, -1};
  std::vector<float> want = before, grown = table;
  for (const int i : {0, 2}) {
    std::copy_n(table.begin() + ids[i] * 20, 20, want.begin() + i * 20);
    for (int c = 0; c < 20; ++c) grown[ids[i] * 20 + c] += before[i * 20 + c];
  }
  ExpectBitsEverywhere(want, false, [&](Context& context) {
    std::vector<float> y = before;
    Embed(context, ids, View(table, 20), View(y, 20));
    return y;
  });
  ExpectBitsEverywhere(want, false, [&](Context& context) {
    Context alone(1, context.isa());
    PackedMatrix packed(3, 20, DType::kF32);
    packed.SetRows(alone, 0, {table.data(), DType::kF32, 3, 20, 20, 1});
    std::vector<float> y = before;
    Embed(context, ids, packed, View(y, 20));
    return y;
  });
  ExpectBitsEverywhere(grown, false, [&](Context& context) {
    std::vector<float> sum = table;
    EmbedBackward(context, ids, View(before, 20), View(sum, 20));
    return sum;
  });
}

// A row is one chain of additions, each of which rounds the sum so far once.
TEST(EmbeddingTest, BackwardStaysWithinItsRoundingBound) {
  Context context(2, BestIsa());
  for (const Shape s : {Shape{1, 37}, {3, 64}, {40, 700}, {300, 200}}) {
    const std::vector<int32_t> ids = Ids(s.rows);
    const std::vector<float> dy = Numbers(s.rows * s.width, 4);
    std::vector<float> table(37 * s.width, 0.5f);
    EmbedBackward(context, ids, View(dy, s.width), View(table, s.width));
    std::vector<double> want = reference::EmbedBackward(ids, Doubles(dy), 37, s.width), bound(want.size());
    for (double& v : want) v += 0.5;
    std::vector<double> chain(want.size(), 0.5);
    for (int64_t i = 0; i < s.rows * s.width; ++i) {
      const int64_t at = ids[i / s.width] * s.width + i % s.width;
      chain[at] += dy[i];
      bound[at] += kUnit * std::fabs(chain[at]);
    }
    ExpectWithin(table, want, bound, std::to_string(s.rows) + " x " + std::to_string(s.width));
  }
}

// Linear: rounding alone, a few 2^-53 of 60 numbers below 1, over h = 1e-3.
TEST(EmbeddingTest, TheTwinsBackwardIsTheDerivativeOfItsForward) {
  const std::vector<int32_t> ids = {3, 0, 4, 3, 3, 1};
  std::vector<double> table = Doubles(Numbers(5 * 10, 5));
  const std::vector<double> dy = Doubles(Numbers(6 * 10, 6));
  const auto loss = [&] { return Dot(reference::Embed(ids, table, 10), dy); };
  ExpectNear(Slopes(table, loss, 1e-3), reference::EmbedBackward(ids, dy, 5, 10), 1e-11);
}

}  // namespace
}  // namespace kinetok
