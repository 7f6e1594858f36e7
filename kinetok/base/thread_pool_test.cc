#include "kinetok/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

TEST(ThreadPoolTest, EveryTaskRunsExactlyOnce) {
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t tasks : {0, 1, 3, 1000}) {
      std::vector<std::atomic<int>> runs(tasks);
      pool.Run(tasks, [&](int64_t task, int worker) {
        EXPECT_TRUE(worker >= 0 && worker < threads);
        runs[task].fetch_add(1);
      });
      for (auto& r : runs) EXPECT_EQ(r.load(), 1);
    }
  }
}

// What the tasks wrote without atomics is visible to the caller, and to the next Run.
TEST(ThreadPoolTest, ResultsAreVisibleAfterRun) {
  ThreadPool pool(4);
  std::vector<int64_t> data(64);
  for (int round = 0; round < 200; ++round) {
    pool.Run(64, [&](int64_t task, int) { data[task] += task; });
  }
  for (int64_t i = 0; i < 64; ++i) EXPECT_EQ(data[i], 200 * i);
}

TEST(ThreadPoolTest, TheFirstExceptionComesBackAndThePoolGoesOn) {
  for (const int threads : {1, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 20; ++round) {
      EXPECT_THROW(pool.Run(100,
                            [](int64_t task, int) {
                              if (task % 10 == 3) throw std::runtime_error("task");
                            }),
                   std::runtime_error);
      std::atomic<int> runs{0};
      pool.Run(10, [&](int64_t, int) { runs.fetch_add(1); });
      EXPECT_EQ(runs.load(), 10);
    }
  }
}

TEST(ThreadPoolTest, CallersOnSeveralThreadsAreQueued) {
  ThreadPool pool(3);
  std::atomic<int> inside{0}, total{0};
  const auto caller = [&](int id) {
    for (int round = 0; round < 100; ++round) {
      pool.Run(7, [&](int64_t, int) {
        // Only tasks of one caller may be running: the others' ids must not be there.
        const int before = inside.fetch_add(id);
        EXPECT_EQ(before % id, 0);
        total.fetch_add(1);
        inside.fetch_sub(id);
      });
    }
  };
  std::thread other(caller, 1000);
  caller(1001);
  other.join();
  EXPECT_EQ(total.load(), 2 * 100 * 7);
}

// Where all workers of a Run meet: each arrives and waits for the others, so that none can take two tasks. One that
// never comes fails the test instead of hanging it.
class Meeting {
 public:
  explicit Meeting(int workers) : workers_(workers) {}
  void Wait() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    arrived_.fetch_add(1);
    while (arrived_.load() < workers_ && !failed_.load()) {
      if (std::chrono::steady_clock::now() > deadline) failed_.store(true);
      std::this_thread::yield();
    }
  }
  bool failed() const { return failed_.load(); }

 private:
  const int workers_;
  std::atomic<int> arrived_{0};
  std::atomic<bool> failed_{false};
};

TEST(ThreadPoolTest, ParkedWorkersWakeEveryTime) {
  ThreadPool pool(3);
  for (int round = 0; round < 100; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // long enough to park
    Meeting meeting(3);
    pool.Run(3, [&](int64_t, int) { meeting.Wait(); });
    ASSERT_FALSE(meeting.failed()) << "a worker slept through round " << round;
  }
}

TEST(ThreadPoolTest, AllWorkersTakePartAndAreCounted) {
  ThreadPool pool(4);
  EXPECT_EQ(pool.WorkersUsed(), 0);
  std::mutex mutex;
  std::set<int> workers;
  Meeting meeting(4);
  pool.Run(4, [&](int64_t, int worker) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      workers.insert(worker);
    }
    meeting.Wait();
  });
  EXPECT_FALSE(meeting.failed());
  EXPECT_EQ(workers.size(), 4u);
  EXPECT_EQ(pool.WorkersUsed(), 4);
  pool.ResetWorkersUsed();
  EXPECT_EQ(pool.WorkersUsed(), 0);
  pool.Run(1, [](int64_t, int) {});
  EXPECT_EQ(pool.WorkersUsed(), 1);
}

TEST(ThreadPoolTest, PoolsComeAndGoWithoutWork) {
  for (int i = 0; i < 50; ++i) ThreadPool pool(1 + i % 4);
}

TEST(ThreadPoolTest, AThreadCountOutOfRangeIsAnError) {
  EXPECT_THROW(ThreadPool(0), Error);
  EXPECT_THROW(ThreadPool(100000), Error);
  EXPECT_GE(AvailableCores(), 1);
}

}  // namespace
}  // namespace kinetok
