#include "kinetok/serve/turns.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace kinetok {
namespace {

using std::chrono::milliseconds;

void AwaitLength(const Turns& turns, int64_t length) {
  while (turns.length() != length) std::this_thread::sleep_for(milliseconds(1));
}

TEST(TurnsTest, ComeInTheOrderOfArrival) {
  Turns turns(101);
  std::optional<Turns::Turn> first = turns.Take();
  std::vector<int> order;  // guarded by the turns
  std::vector<std::thread> threads;
  for (int i = 0; i < 100; ++i) {
    threads.emplace_back([&, i] {
      const auto turn = turns.Take();
      ASSERT_TRUE(turn.has_value());
      order.push_back(i);
    });
    AwaitLength(turns, i + 2);
  }
  first.reset();
  for (std::thread& t : threads) t.join();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
  EXPECT_EQ(turns.length(), 0);
}

TEST(TurnsTest, OneAtATimeHoweverManyCome) {
  Turns turns(8);
  int64_t inside = 0, served = 0;  // guarded by the turns
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < 500; ++call) {
        const auto turn = turns.Take();
        ASSERT_TRUE(turn.has_value());
        ASSERT_EQ(++inside, 1);
        ++served;
        --inside;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(served, 4000);
}

TEST(TurnsTest, AFullLineTurnsAwayAtOnceAndTakesTheNextOneWhenAPlaceIsFree) {
  Turns turns(2);
  std::optional<Turns::Turn> first = turns.Take();
  std::thread second([&] { EXPECT_TRUE(turns.Take().has_value()); });
  AwaitLength(turns, 2);
  EXPECT_FALSE(turns.Take().has_value());
  EXPECT_EQ(turns.length(), 2);
  first.reset();
  second.join();
  EXPECT_TRUE(turns.Take().has_value());
}

TEST(TurnsTest, AnExceptionEndsATurn) {
  Turns turns(1);
  const auto fail = [&] {
    const auto turn = turns.Take();
    throw std::runtime_error("no");
  };
  EXPECT_THROW(fail(), std::runtime_error);
  EXPECT_TRUE(turns.Take().has_value());
}

}  // namespace
}  // namespace kinetok
