#include "kinetok/kernels/context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

TEST(ContextTest, InstructionSetsHaveNamesAndThePortableOneIsAlwaysThere) {
  EXPECT_TRUE(IsaSupported(Isa::kPortable));
  EXPECT_EQ(ParseIsa("portable-baseline"), Isa::kPortable);
  EXPECT_EQ(ParseIsa("auto"), BestIsa());
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
    if (IsaSupported(isa)) {
      EXPECT_EQ(ParseIsa(IsaName(isa)), isa);
    }
  }
}

TEST(ContextTest, AnUnknownInstructionSetIsNamedInTheError) {
  try {
    ParseIsa("sse9");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("sse9"));
    EXPECT_THAT(e.what(), testing::HasSubstr("avx2"));
  }
}

TEST(ContextTest, ParallelForCoversEveryIndexOnceInPiecesOfTheGrain) {
  for (const int threads : {1, 3}) {
    Context context(threads, BestIsa());
    for (const int64_t n : {0, 1, 7, 64, 65}) {
      std::vector<std::atomic<int>> seen(n);
      ParallelFor(context, n, 8, [&](int64_t first, int64_t last, int worker) {
        EXPECT_LT(worker, threads);
        EXPECT_EQ(first % 8, 0);
        EXPECT_LE(last - first, 8);
        for (int64_t i = first; i < last; ++i) seen[i].fetch_add(1);
      });
      for (auto& count : seen) EXPECT_EQ(count.load(), 1);
    }
  }
}

TEST(ContextTest, ScratchGrowsIsAlignedAndIsTheWorkersOwn) {
  Context context(2, BestIsa());
  const auto small = context.Scratch(0, 10);
  EXPECT_GE(small.size(), 10u);
  const auto large = context.Scratch(0, 1000000), other = context.Scratch(1, 1000000);
  EXPECT_GE(large.size(), 1000000u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(large.data()) % 64, 0u);
  EXPECT_NE(large.data(), other.data());
  EXPECT_EQ(context.Scratch(0, 500).data(), large.data());
  EXPECT_GE(context.SharedScratch(123456).size(), 123456u);
}

}  // namespace
}  // namespace kinetok
