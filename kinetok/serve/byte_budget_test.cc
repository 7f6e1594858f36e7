#include "kinetok/serve/byte_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

namespace kinetok {
namespace {

using Share = ByteBudget::Share;
constexpr int64_t kMiB = int64_t{1} << 20;

auto Now() {
  return ByteBudget::Clock::now();
}
auto Later() {
  return Now() + std::chrono::hours(1);
}

TEST(ByteBudgetTest, WhoFindsTooLittleWaitsForTheOthers) {
  ByteBudget budget(10, 10);
  std::optional<Share> six(std::in_place, budget, 6);
  EXPECT_TRUE(six->Grow(6, Now()));
  Share five(budget, 5);
  EXPECT_FALSE(five.Grow(5, Now()));
  EXPECT_TRUE(five.Grow(4, Now()));
  std::thread waiting([&] {
    Share ten(budget, 10);
    EXPECT_TRUE(ten.Grow(5, Later()));
  });
  EXPECT_TRUE(five.Grow(0, Now()));
  six.reset();
  EXPECT_TRUE(five.Grow(1, Now()));
  waiting.join();
}

TEST(ByteBudgetTest, WhatIsAnnouncedAndDoesNotComeTakesNothing) {
  ByteBudget budget(100, 40);
  const Share a(budget, 40), b(budget, 40), c(budget, 40);
  Share one(budget, 40);
  EXPECT_TRUE(one.Grow(40, Now()));
}

TEST(ByteBudgetTest, TheOldestThatGrowsAlwaysBecomesWhole) {
  ByteBudget budget(100 * kMiB, 40 * kMiB);
  Share first(budget, 40 * kMiB);
  EXPECT_TRUE(first.Grow(kMiB, Now()));
  std::optional<Share> second(std::in_place, budget, 40 * kMiB);
  EXPECT_TRUE(second->Grow(34 * kMiB, Now()));  // a quarter is for short ones, 40 for the oldest
  EXPECT_FALSE(second->Grow(kMiB, Now()));
  EXPECT_TRUE(first.Grow(39 * kMiB, Now()));
  EXPECT_TRUE(second->Grow(6 * kMiB, Now()));  // now it is the oldest
}

TEST(ByteBudgetTest, AShortOneNeedNotWaitForLongOnesThatStall) {
  ByteBudget budget(256 * kMiB, 40 * kMiB);
  std::vector<std::optional<Share>> stalled(300);
  int64_t held = 0;
  for (auto& share : stalled) {
    share.emplace(budget, 40 * kMiB);
    for (int piece = 0; piece < 39 && share->Grow(kMiB, Now()); ++piece) held += kMiB;
  }
  EXPECT_GT(held, 150 * kMiB);
  for (int i = 0; i < 100; ++i) {
    Share usual(budget, kMiB);
    EXPECT_TRUE(usual.Grow(kMiB, Now()));
  }
}

TEST(ByteBudgetTest, ManyThatGrowTogetherAllBecomeWholeAndNeverHoldMoreThanThereIs) {
  ByteBudget budget(100, 70);
  std::atomic<int64_t> held = 0;
  std::vector<std::thread> threads;
  threads.reserve(6);
  for (int64_t i = 0; i < 6; ++i) {
    threads.emplace_back([&, size = 20 + 10 * i] {
      for (int call = 0; call < 100; ++call) {
        Share share(budget, size);
        for (int64_t at = 0; at < size; at += 10) {
          ASSERT_TRUE(share.Grow(10, Later()));
          ASSERT_LE(held += 10, 100);
        }
        held -= size;
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

}  // namespace
}  // namespace kinetok
