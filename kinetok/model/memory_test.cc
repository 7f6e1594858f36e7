#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinetok/base/error.h"
#include "kinetok/base/random.h"
#include "kinetok/model/arena_plan.h"
#include "kinetok/model/kv_cache.h"
#include "kinetok/model/presets.h"

namespace kinetok {
namespace {

TEST(ArenaPlanTest, NeverPlacesTwoLivingBuffersOverEachOtherAndReusesTheRest) {
  ArenaPlan plan;
  struct Item {
    int64_t floats;
    std::vector<std::pair<int, int>> live;
  };
  std::vector<Item> items;
  int64_t sum = 0;
  for (int i = 0; i < 200; ++i) {
    const Philox4 r = RandomBits(3, RandomStream::kTest, 0, i);
    const int first = static_cast<int>(r[0] % 100), second = first + 20 + static_cast<int>(r[1] % 50);
    Item item{1 + r[2] % 5000, {{first, first + static_cast<int>(r[3] % 10)}}};
    if (i % 3 == 0) item.live.emplace_back(second, second + 2);
    sum += item.floats;
    plan.Add(item.floats, item.live);
    items.push_back(item);
  }
  plan.Place();
  for (int a = 0; a < 200; ++a) {
    EXPECT_EQ(plan.offset(a) % 16, 0);
    EXPECT_LE(plan.offset(a) + items[a].floats, plan.total_floats());
    for (int b = 0; b < a; ++b) {
      bool together = false;
      for (const auto& x : items[a].live) {
        for (const auto& y : items[b].live) together = together || (x.first <= y.second && y.first <= x.second);
      }
      const bool overlap =
          plan.offset(a) < plan.offset(b) + items[b].floats && plan.offset(b) < plan.offset(a) + items[a].floats;
      EXPECT_FALSE(together && overlap) << a << " " << b;
    }
  }
  EXPECT_LT(plan.total_floats(), sum / 3);
}

TEST(KvCacheTest, GrowsByPagesAndGivesThemBack) {
  KvCache cache(Preset("tiny"), 4);
  const int a = cache.NewSequence(), b = cache.NewSequence();
  cache.Extend(a, 65);
  cache.Extend(b, 64);
  EXPECT_EQ(cache.pages_in_use(), 3);
  EXPECT_THROW(cache.Extend(b, 200), Error);
  EXPECT_EQ(cache.length(b), 64);
  EXPECT_EQ(cache.pages_in_use(), 3);
  cache.Truncate(a, 64);
  EXPECT_EQ(cache.pages_in_use(), 2);
  cache.Remove(a);
  EXPECT_EQ(cache.pages_in_use(), 1);
  EXPECT_EQ(cache.NewSequence(), a);
}

TEST(KvCacheTest, AForkSharesFullPagesAndCopiesThePartialOneWhenItIsWritten) {
  KvCache cache(Preset("tiny"));
  const int a = cache.NewSequence();
  cache.Extend(a, 100);
  const auto slot = [&](int sequence, int64_t block) {
    KvCache::LayerView view;
    const int ids[] = {sequence};
    cache.View(ids, 1, &view);
    return view.pages().pages[0][block];
  };
  slot(a, 0)[5] = 1.5f;
  slot(a, 1)[7] = 2.5f;
  const int b = cache.Fork(a);
  EXPECT_EQ(cache.pages_in_use(), 2);
  cache.Extend(b, 101);
  EXPECT_EQ(cache.pages_in_use(), 3);
  EXPECT_EQ(slot(a, 0), slot(b, 0));
  EXPECT_NE(slot(a, 1), slot(b, 1));
  EXPECT_EQ(slot(b, 1)[7], 2.5f);
  slot(b, 1)[7] = 9.0f;
  EXPECT_EQ(slot(a, 1)[7], 2.5f);
  cache.Remove(a);
  EXPECT_EQ(slot(b, 0)[5], 1.5f);
  EXPECT_EQ(cache.pages_in_use(), 2);
}

}  // namespace
}  // namespace kinetok
