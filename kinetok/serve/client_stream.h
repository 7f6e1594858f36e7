// A client's socket with patience: every wait ends, every count has a limit.
#pragma once

#include <poll.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kinetok/serve/byte_budget.h"

namespace kinetok {

struct StreamLimits {
  std::chrono::milliseconds idle{}, silence{}, request{};  // ServerOptions' timeouts
  int64_t head_bytes = 64 << 10;                           // the request line and the headers
};

// A body arrives at such a pace at least: so many bytes, or what is left of it, in every StreamLimits::silence.
inline constexpr int64_t kPaceBytes = 256 << 10;

// A request is a head, then a body of as many bytes as BeginBody says. After a fault nothing more is read.
class ClientStream {
 public:
  enum class Fault : uint8_t { kNone, kClosed, kTimeout, kLongHead, kNoRoom };
  using Clock = std::chrono::steady_clock;

  // `socket` is non-blocking. `stop_event` becomes readable when idle clients are not to be waited for any more.
  ClientStream(int socket, int stop_event, const StreamLimits& limits)
      : socket_(socket), stop_event_(stop_event), limits_(limits) {}

  // Waits for the first byte of the next request. False: none comes.
  bool AwaitRequest();

  // At most `size` bytes; 0 when the client has closed, -1 on every other fault.
  int64_t Read(char* data, size_t size);
  void BeginBody(int64_t bytes) { unread_body_ = bytes; }
  // The rest of the body, for which `room` grows as it arrives; empty on a fault. Waiting for room, at most as long as
  // a request may take, is not counted against the client.
  std::optional<std::string> ReadBody(ByteBudget::Share& room);
  int64_t unread_body() const { return unread_body_.value_or(0); }

  // All of it, or false. Also after a fault of reading.
  bool Write(std::string_view data);
  bool wrote() const { return wrote_; }  // since AwaitRequest

  // Whether nobody is there to read an answer. A client that has ended its sending may still listen: to find out, it is
  // sent the first bytes of its answer, and waited for a moment; one that has left rejects them. To be called at most
  // once a request, before its answer.
  bool Gone();

  // Lets a client that is still sending read its answer: closing a socket with unread bytes would destroy it.
  void Linger();

  Fault fault() const { return fault_; }
  std::string peer() const;                                                                        // 127.0.0.1:53122
  double Seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }  // since AwaitRequest

 private:
  bool Fill(Clock::time_point deadline);
  std::string_view Next(size_t size);
  bool Wait(short events, Clock::time_point deadline) const;

  const int socket_, stop_event_;
  const StreamLimits limits_;
  std::array<char, 16384> buffer_;
  size_t begin_of_data_ = 0, end_of_data_ = 0;
  Fault fault_ = Fault::kNone;
  Clock::time_point begin_, deadline_;  // of the request
  int64_t head_ = 0;                    // bytes read of it
  std::optional<int64_t> unread_body_;  // empty inside the head
  bool wrote_ = false;
  size_t sent_ahead_ = 0;  // bytes of the answer that Gone has sent
};

}  // namespace kinetok
