#include "kinetok/serve/turns.h"

namespace kinetok {

std::optional<Turns::Turn> Turns::Take() {
  std::condition_variable called;
  std::unique_lock lock(mutex_);
  if (static_cast<int64_t>(line_.size()) >= places_) return std::nullopt;
  const uint64_t ticket = next_ticket_++;
  line_.push_back({ticket, &called});
  called.wait(lock, [&] { return line_.front().ticket == ticket; });
  line_.front().called = nullptr;
  return Turn(this);
}

void Turns::Pass() {
  const std::lock_guard lock(mutex_);
  line_.pop_front();
  // Under the lock: the one who is called leaves, and the condition with it, only after that.
  if (!line_.empty()) line_.front().called->notify_one();
}

int64_t Turns::length() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(line_.size());
}

}  // namespace kinetok
