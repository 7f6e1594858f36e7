// The one thread pool of a process's Context. Idle workers spin for a few microseconds, then park on a futex, so that
// they take nothing from other programs or libraries on the machine.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace kinetok {

// A reference to a callable that outlives the call: no allocation, one indirect call.
template <class Signature>
class FunctionRef;
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
      FunctionRef(F&& f)  // NOLINT(google-explicit-constructor, bugprone-forwarding-reference-overload)
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* o, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(o))(std::forward<Args>(args)...);
        }) {}
  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

inline constexpr int kMaxThreads = 256;  // of a pool

class ThreadPool {
 public:
  // `threads` >= 1 counts the calling thread too: a pool of 1 starts no thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls fn(task, worker) once for every task in [0, tasks), worker in [0, threads()). Tasks are handed out in order
  // to whichever worker is free, so fn's result must not depend on the worker. The first exception is rethrown here.
  // Not reentrant: fn must not call Run; one caller at a time (callers on several threads are queued).
  void Run(int64_t tasks, FunctionRef<void(int64_t, int)> fn);

  // How many distinct workers have executed at least one task since the last call of ResetWorkersUsed (for tests).
  int WorkersUsed() const;
  void ResetWorkersUsed();

 private:
  struct Shared;
  void Work(int worker);
  void Drain(int worker);
  std::unique_ptr<Shared> shared_;
  std::vector<std::thread> workers_;
};

// The physical cores that this process may run on (its affinity mask, hyper-threads counted once; no more than its
// control group's time limit), at least 1.
int AvailableCores();

}  // namespace kinetok
