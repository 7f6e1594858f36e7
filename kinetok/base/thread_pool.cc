#include "kinetok/base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <set>
#include <string>

#include "kinetok/base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kinetok {
namespace {

constexpr int kSpins = 4000;  // about 20-60 microseconds

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// What the control group's time limit (docker --cpus) allows, rounded up; INT_MAX without one.
int QuotaCores() {
  std::string quota;
  int64_t limit = -1, period = 0;
  std::ifstream("/sys/fs/cgroup/cpu.max") >> quota >> period;  // version 2: "max 100000" or "200000 100000"
  if (quota.empty()) {
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> limit;  // version 1: -1 without a limit
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  } else if (quota != "max") {
    limit = std::atoll(quota.c_str());
  }
  if (limit <= 0 || period <= 0) return INT_MAX;
  return static_cast<int>(std::min<int64_t>((limit + period - 1) / period, INT_MAX));
}

}  // namespace

// A Run hands out its tasks by counting `ticket`'s low half down. The generation in its high half and the count are one
// word, so a worker that wakes late takes a task of the Run that is under way, or none: Run never waits for a worker
// that has not begun.
struct ThreadPool::Shared {
  std::mutex callers;                   // one Run at a time
  std::atomic<uint32_t> generation{0};  // what parked workers watch
  std::atomic<uint64_t> ticket{0};      // generation << 32 | tasks that nobody has taken
  std::atomic<int64_t> left{0};         // tasks that are not done
  std::atomic<bool> stop{false};
  std::atomic<bool> failed{false};
  int64_t tasks = 0;
  const FunctionRef<void(int64_t, int)>* fn = nullptr;
  std::mutex error_mutex;
  std::exception_ptr error;
  std::atomic<bool> used[kMaxThreads] = {};

  // The next task, or -1.
  int64_t Take() {
    uint64_t now = ticket.load(std::memory_order_acquire);
    while ((now & 0xffffffffu) != 0) {
      if (ticket.compare_exchange_weak(now, now - 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
        return tasks - static_cast<int64_t>(now & 0xffffffffu);
      }
    }
    return -1;
  }
};

ThreadPool::ThreadPool(int threads) : shared_(std::make_unique<Shared>()) {
  if (threads < 1 || threads > kMaxThreads) Fail("threads is {}; it must be 1 to {}", threads, kMaxThreads);
  workers_.reserve(threads - 1);
  for (int w = 1; w < threads; ++w) workers_.emplace_back([this, w] { Work(w); });
}

ThreadPool::~ThreadPool() {
  shared_->stop.store(true);
  shared_->generation.fetch_add(1);
  shared_->generation.notify_all();
  for (std::thread& t : workers_) t.join();
}

void ThreadPool::Drain(int worker) {
  Shared& s = *shared_;
  for (int64_t task = s.Take(); task >= 0; task = s.Take()) {
    if (!s.used[worker].load(std::memory_order_relaxed)) s.used[worker].store(true, std::memory_order_relaxed);
    if (!s.failed.load(std::memory_order_relaxed)) {
      try {
        (*s.fn)(task, worker);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(s.error_mutex);
        if (!s.failed.exchange(true)) s.error = std::current_exception();
      }
    }
    if (s.left.fetch_sub(1, std::memory_order_acq_rel) == 1) s.left.notify_all();
  }
}

void ThreadPool::Work(int worker) {
  Shared& s = *shared_;
  uint32_t seen = 0;
  for (;;) {
    uint32_t now = s.generation.load(std::memory_order_acquire);
    for (int spin = 0; now == seen && spin < kSpins; ++spin) {
      Pause();
      now = s.generation.load(std::memory_order_acquire);
    }
    while (now == seen) {
      s.generation.wait(seen, std::memory_order_acquire);
      now = s.generation.load(std::memory_order_acquire);
    }
    seen = now;
    if (s.stop.load()) return;
    Drain(worker);
  }
}

void ThreadPool::Run(int64_t tasks, FunctionRef<void(int64_t, int)> fn) {
  if (tasks <= 0) return;
  KINETOK_CHECK(tasks <= INT32_MAX);
  Shared& s = *shared_;
  const std::lock_guard<std::mutex> lock(s.callers);
  s.tasks = tasks;
  s.fn = &fn;
  s.failed.store(false, std::memory_order_relaxed);
  s.left.store(tasks, std::memory_order_relaxed);
  const uint32_t generation = s.generation.load(std::memory_order_relaxed) + 1;
  s.ticket.store(uint64_t{generation} << 32 | static_cast<uint64_t>(tasks), std::memory_order_release);
  if (!workers_.empty() && tasks > 1) {
    // Sequentially consistent: notify_all must not look for sleepers before the store is seen by them.
    s.generation.store(generation, std::memory_order_seq_cst);
    s.generation.notify_all();
  }
  Drain(0);
  int64_t left = s.left.load(std::memory_order_acquire);
  for (int spin = 0; left != 0 && spin < kSpins; ++spin) {
    Pause();
    left = s.left.load(std::memory_order_acquire);
  }
  while (left != 0) {
    s.left.wait(left, std::memory_order_acquire);
    left = s.left.load(std::memory_order_acquire);
  }
  if (s.failed.load()) std::rethrow_exception(std::exchange(s.error, nullptr));
}

int ThreadPool::WorkersUsed() const {
  int used = 0;
  for (int w = 0; w < threads(); ++w) used += shared_->used[w].load() ? 1 : 0;
  return used;
}

void ThreadPool::ResetWorkersUsed() {
  for (auto& used : shared_->used) used.store(false);
}

int AvailableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) continue;
    const auto read = [cpu](const char* name) {
      std::string value;
      std::ifstream(fmt::format("/sys/devices/system/cpu/cpu{}/topology/{}", cpu, name)) >> value;
      return value;
    };
    const std::string core = read("core_id");
    cores.insert(core.empty() ? fmt::format("cpu{}", cpu) : fmt::format("{}:{}", read("physical_package_id"), core));
  }
  return std::clamp(std::min(static_cast<int>(cores.size()), QuotaCores()), 1, kMaxThreads);
}

}  // namespace kinetok
