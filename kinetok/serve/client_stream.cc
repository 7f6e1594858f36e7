#include "kinetok/serve/client_stream.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kinetok {
namespace {

using Clock = ClientStream::Clock;

constexpr std::string_view kAnswerBegin = "HTTP/1.1 ";  // whatever its status
constexpr std::chrono::milliseconds kRejection{20};     // a round trip through a local network, and time to spare
constexpr int64_t kRoomBytes = 64 << 10;                // what is asked for at a time
constexpr std::chrono::milliseconds kLinger{5'000}, kLingerAtStop{200};

bool WouldBlock() {
  return errno == EAGAIN || errno == EWOULDBLOCK;
}

int MillisecondsUntil(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

}  // namespace

bool ClientStream::Wait(short events, Clock::time_point deadline) const {
  pollfd wanted{socket_, events, 0};
  while (true) {
    const int milliseconds = MillisecondsUntil(deadline), ready = poll(&wanted, 1, milliseconds);
    if (ready > 0) return true;
    if (milliseconds == 0 || (ready < 0 && errno != EINTR)) return false;
  }
}

bool ClientStream::Fill(Clock::time_point deadline) {
  while (fault_ == Fault::kNone) {
    const ssize_t n = recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n > 0) {
      begin_of_data_ = 0;
      end_of_data_ = static_cast<size_t>(n);
      return true;
    }
    if (n == 0 || (!WouldBlock() && errno != EINTR)) {
      fault_ = Fault::kClosed;
    } else if (!Wait(POLLIN, deadline)) {
      fault_ = Fault::kTimeout;
    }
  }
  return false;
}

bool ClientStream::AwaitRequest() {
  unread_body_.reset();
  wrote_ = false;
  head_ = 0;
  const auto deadline = Clock::now() + limits_.idle;
  pollfd wanted[] = {{socket_, POLLIN, 0}, {stop_event_, POLLIN, 0}};
  while (begin_of_data_ == end_of_data_) {
    const int milliseconds = MillisecondsUntil(deadline), ready = poll(wanted, 2, milliseconds);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0 || wanted[0].revents == 0 || !Fill(deadline)) return false;
  }
  begin_ = Clock::now();
  deadline_ = begin_ + limits_.request;
  return true;
}

// Of what has arrived, at most `size` bytes.
std::string_view ClientStream::Next(size_t size) {
  const std::string_view next(buffer_.data() + begin_of_data_, std::min(size, end_of_data_ - begin_of_data_));
  begin_of_data_ += next.size();
  if (unread_body_) {
    *unread_body_ -= static_cast<int64_t>(next.size());
  } else {
    head_ += static_cast<int64_t>(next.size());
  }
  return next;
}

int64_t ClientStream::Read(char* data, size_t size) {
  if (!unread_body_ && head_ >= limits_.head_bytes) fault_ = Fault::kLongHead;
  if (fault_ == Fault::kLongHead) return -1;
  const auto deadline = std::min(Clock::now() + limits_.silence, deadline_);
  if (begin_of_data_ == end_of_data_ && !Fill(deadline)) return fault_ == Fault::kClosed ? 0 : -1;
  const std::string_view next = Next(size);
  std::memcpy(data, next.data(), next.size());
  return static_cast<int64_t>(next.size());
}

std::optional<std::string> ClientStream::ReadBody(ByteBudget::Share& room) {
  const auto patience = Clock::now() + limits_.request;
  deadline_ = patience;
  auto pace = Clock::now() + limits_.silence;
  std::string body;
  body.reserve(static_cast<size_t>(unread_body()));  // addresses alone: the system gives memory as bytes are written
  for (int64_t free = 0, paced = 0; unread_body() > 0;) {
    if (begin_of_data_ == end_of_data_ && !Fill(std::min(pace, deadline_))) return std::nullopt;
    if (free == 0) {
      const auto begin = Clock::now();
      free = std::min(unread_body(), kRoomBytes);
      if (!room.Grow(free, patience)) {
        fault_ = Fault::kNoRoom;
        return std::nullopt;
      }
      pace += Clock::now() - begin;
      deadline_ += Clock::now() - begin;
    }
    const std::string_view next = Next(static_cast<size_t>(free));
    body += next;
    free -= static_cast<int64_t>(next.size());
    paced += static_cast<int64_t>(next.size());
    if (paced >= kPaceBytes) {
      paced = 0;
      pace = Clock::now() + limits_.silence;
    }
  }
  return body;
}

bool ClientStream::Write(std::string_view data) {
  wrote_ = true;
  data.remove_prefix(std::min(std::exchange(sent_ahead_, 0), data.size()));
  const auto last = Clock::now() + limits_.request;
  while (!data.empty()) {
    const ssize_t n = send(socket_, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      data.remove_prefix(static_cast<size_t>(n));
    } else if (WouldBlock() ? !Wait(POLLOUT, std::min(Clock::now() + limits_.silence, last)) : errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool ClientStream::Gone() {
  const auto broken = [this](std::chrono::milliseconds patience) {
    pollfd wanted{socket_, 0, 0};
    return poll(&wanted, 1, static_cast<int>(patience.count())) > 0 && (wanted.revents & (POLLERR | POLLHUP)) != 0;
  };
  if (broken(std::chrono::milliseconds(0))) return true;
  char byte = 0;
  const ssize_t n = recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return false;
  if (n < 0) return !WouldBlock() && errno != EINTR;
  const ssize_t sent = send(socket_, kAnswerBegin.data(), kAnswerBegin.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  sent_ahead_ = static_cast<size_t>(std::max<ssize_t>(sent, 0));
  return broken(kRejection);
}

void ClientStream::Linger() {
  shutdown(socket_, SHUT_WR);
  auto deadline = Clock::now() + kLinger;
  pollfd wanted[] = {{socket_, POLLIN, 0}, {stop_event_, POLLIN, 0}};
  while (Clock::now() < deadline) {
    const int ready = poll(wanted, 2, MillisecondsUntil(deadline));
    if (ready < 0 && errno != EINTR) return;
    if (ready > 0 && wanted[1].revents != 0) {
      wanted[1].fd = -1;
      deadline = std::min(deadline, Clock::now() + kLingerAtStop);
    }
    const ssize_t n = recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && !WouldBlock() && errno != EINTR)) return;
  }
}

std::string ClientStream::peer() const {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
  if (getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), length, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "unknown";
  }
  return address.ss_family == AF_INET6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace kinetok
