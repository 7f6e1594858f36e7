#include "kinetok/kernels/embedding.h"

#include "kinetok/kernels/test_support.h"

namespace kinetok {
namespace {

using namespace test;

const std::vector<int32_t> kIds = {3, 0, 36, 3, 15, 16, 3};

TEST(EmbeddingTest, CopiesTheRowOfEveryId) {
  for (const int64_t width : {1, 15, 16, 70}) {
    const std::vector<float> table = Numbers(37 * width, 1);
    std::vector<float> y(kIds.size() * width);
    Context context(2, BestIsa());
    Embed(context, kIds, View(table, width), View(y, width));
    for (size_t i = 0; i < kIds.size(); ++i) {
      for (int64_t c = 0; c < width; ++c) EXPECT_EQ(y[i * width + c], table[kIds[i] * width + c]);
    }
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
    for (const Isa isa : SupportedIsas()) {
      Context context(2, isa);
      PackedMatrix packed(37, width, dtype);
      packed.SetRows(context, 0, {table.data(), DType::kF32, 37, width, width, 1});
      std::vector<float> y(kIds.size() * width);
      Embed(context, kIds, packed, View(y, width));
      for (size_t i = 0; i < kIds.size(); ++i) {
        for (int64_t c = 0; c < width; ++c) ASSERT_EQ(y[i * width + c], narrow[kIds[i] * width + c]);
      }
    }
  }
}

TEST(EmbeddingTest, BackwardAddsRowsInOrderEvenWhereIdsRepeat) {
  for (const int64_t width : {1, 17, 200}) {
    const int64_t rows = 300;
    std::vector<int32_t> ids(rows);
    for (int64_t i = 0; i < rows; ++i) ids[i] = static_cast<int32_t>(i * i % 5);
    const std::vector<float> dy = Numbers(rows * width, 3);
    std::vector<float> want(5 * width, 0.5f);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t c = 0; c < width; ++c) want[ids[i] * width + c] += dy[i * width + c];
    }
    for (const Isa isa : SupportedIsas()) {
      for (int threads = 1; threads <= 4; ++threads) {
        Context context(threads, isa);
        std::vector<float> table(5 * width, 0.5f);
        EmbedBackward(context, ids, View(dy, width), View(table, width));
        EXPECT_TRUE(SameBits(table, want)) << IsaName(isa) << " " << threads;
      }
    }
  }
}

}  // namespace
}  // namespace kinetok
