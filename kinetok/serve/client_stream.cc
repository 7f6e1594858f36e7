#include "kinetok/serve/client_stream.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace kinetok {
namespace {

using Clock = ClientStream::Clock;

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

int64_t ClientStream::Read(char* data, size_t size) {
  if (!unread_body_ && head_ >= limits_.head_bytes) fault_ = Fault::kLongHead;
  if (fault_ == Fault::kLongHead) return -1;
  const auto deadline = std::min(Clock::now() + limits_.silence, deadline_);
  if (begin_of_data_ == end_of_data_ && !Fill(deadline)) return fault_ == Fault::kClosed ? 0 : -1;
  const size_t n = std::min(size, end_of_data_ - begin_of_data_);
  std::memcpy(data, buffer_.data() + begin_of_data_, n);
  begin_of_data_ += n;
  if (unread_body_) {
    *unread_body_ -= static_cast<int64_t>(n);
  } else {
    head_ += static_cast<int64_t>(n);
  }
  return static_cast<int64_t>(n);
}

std::optional<std::string> ClientStream::ReadBody() {
  deadline_ = Clock::now() + limits_.request;  // the client may have had to wait for room
  std::string body(static_cast<size_t>(unread_body()), '\0');
  for (size_t at = 0; at < body.size();) {
    const int64_t n = Read(body.data() + at, body.size() - at);
    if (n <= 0) return std::nullopt;
    at += static_cast<size_t>(n);
  }
  return body;
}

bool ClientStream::Write(std::string_view data) {
  wrote_ = true;
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

bool ClientStream::Gone() const {
  char byte = 0;
  const ssize_t n = recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && !WouldBlock() && errno != EINTR);
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
