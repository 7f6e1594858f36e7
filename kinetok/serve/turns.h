// A line before something that serves one at a time: first come, first served.
//
//   if (std::optional<Turns::Turn> turn = turns.Take()) { ...; }        // until `turn` goes, all others wait
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace kinetok {

// Thread-safe. Must outlive its turns.
class Turns {
 public:
  // `places` >= 1 counts the one who is being served.
  explicit Turns(int64_t places) : places_(places) {}
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  // Ends the turn when it goes, and the next one begins.
  class Turn {
   public:
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_ != nullptr) turns_->Pass();
    }

   private:
    friend class Turns;
    explicit Turn(Turns* turns) : turns_(turns) {}
    Turns* turns_;
  };

  // Waits until everyone who came before has had their turn. Empty, at once, when all places are taken.
  std::optional<Turn> Take();

  int64_t length() const;  // places taken
  int64_t places() const { return places_; }

 private:
  struct Place {
    uint64_t ticket;
    std::condition_variable* called;  // of the thread that waits there
  };
  void Pass();

  const int64_t places_;
  mutable std::mutex mutex_;
  std::deque<Place> line_;  // its front is being served
  uint64_t next_ticket_ = 0;
};

}  // namespace kinetok
