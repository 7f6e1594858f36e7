// How many bytes many clients may hold together, as they arrive.
//
//   ByteBudget::Share room(budget, announced);
//   while (...) { if (!room.Grow(piece, until)) ...; }              // until `room` goes, the bytes are its own
//
// Clients that each hold a part must not wait for one another for ever, and those that stall must not keep the others
// out. So the last `largest` bytes are for the oldest share that still grows: whatever the others do, it becomes whole,
// ends, and leaves them to the next one. And long shares leave a quarter of all to the short ones.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>

namespace kinetok {

// Thread-safe. Must outlive its shares.
class ByteBudget {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int64_t kShort = int64_t{2} << 20;  // no share up to this size is long

  // `largest`: the most that one share may come to, at most `bytes`.
  ByteBudget(int64_t bytes, int64_t largest) : largest_(largest), for_short_(bytes / 4), free_(bytes) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  // Gives its bytes back when it goes. To be used by one thread.
  class Share {
   public:
    // Holds nothing yet; will come to `size` bytes, at most `largest`.
    Share(ByteBudget& budget, int64_t size) : budget_(budget), size_(size) {}
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() {
      const std::lock_guard lock(budget_.mutex_);
      budget_.growing_.erase(ticket_);
      budget_.free_ += held_;
      budget_.more_.notify_all();
    }

    // Waits until there is room for `bytes` more, in all at most `size`; false when there is none before `until`.
    bool Grow(int64_t bytes, Clock::time_point until) {
      std::unique_lock lock(budget_.mutex_);
      if (ticket_ == 0) budget_.growing_.insert(ticket_ = ++budget_.last_ticket_);
      if (!budget_.more_.wait_until(lock, until, [&] { return budget_.free_ - bytes >= LeftToOthers(); })) return false;
      budget_.free_ -= bytes;
      held_ += bytes;
      if (held_ >= size_ && budget_.growing_.erase(ticket_) > 0) budget_.more_.notify_all();  // another is the oldest
      return true;
    }

   private:
    int64_t LeftToOthers() const {
      if (*budget_.growing_.begin() == ticket_) return 0;
      return size_ <= kShort ? budget_.largest_ : budget_.largest_ + budget_.for_short_;
    }

    ByteBudget& budget_;
    const int64_t size_;
    int64_t held_ = 0;
    uint64_t ticket_ = 0;  // its place among those that grow; 0 before it has begun
  };

 private:
  const int64_t largest_, for_short_;
  std::mutex mutex_;
  std::condition_variable more_;
  int64_t free_;
  std::set<uint64_t> growing_;  // that have begun and are not whole, the oldest first
  uint64_t last_ticket_ = 0;
};

}  // namespace kinetok
