// How many bytes many clients may hold together.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace kinetok {

// Thread-safe. Must outlive its shares.
class ByteBudget {
 public:
  explicit ByteBudget(int64_t bytes) : free_(bytes) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  // Gives its bytes back when it goes.
  class Share {
   public:
    Share(Share&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Share& operator=(Share&&) = delete;
    ~Share() {
      if (budget_ == nullptr) return;
      {
        const std::lock_guard lock(budget_->mutex_);
        budget_->free_ += bytes_;
      }
      budget_->more_.notify_all();
    }

   private:
    friend class ByteBudget;
    Share(ByteBudget* budget, int64_t bytes) : budget_(budget), bytes_(bytes) {}
    ByteBudget* budget_;
    int64_t bytes_;
  };

  // Waits until others have left so many; empty when they have not within `patience`.
  std::optional<Share> Take(int64_t bytes, std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    if (!more_.wait_for(lock, patience, [&] { return free_ >= bytes; })) return std::nullopt;
    free_ -= bytes;
    return Share(this, bytes);
  }

 private:
  std::mutex mutex_;
  std::condition_variable more_;
  int64_t free_;
};

}  // namespace kinetok
