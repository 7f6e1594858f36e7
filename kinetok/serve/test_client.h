// A client for tests that sends any bytes at any time.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

#include "kinetok/base/error.h"
#include "kinetok/base/json.h"

namespace kinetok {

struct TestResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string error() const { return Json::parse(body).at("error"); }
};

class TestClient {
 public:
  // Connects to 127.0.0.1. Throws Error when nobody listens.
  explicit TestClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{60, 0};
    const int on = 1;
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      const int error = errno;
      close(socket_);
      Fail("port {} cannot be reached: {}", port, std::strerror(error));
    }
  }
  ~TestClient() { close(socket_); }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  // False when the other side has closed.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  void EndSending() { shutdown(socket_, SHUT_WR); }

  // The next answer. Throws Error when the connection ends before it does.
  TestResponse Receive(bool with_body = true) {
    TestResponse response;
    const std::string first = Line();
    if (!first.starts_with("HTTP/1.1 ")) Fail("the answer begins with \"{}\"", first);
    response.status = std::atoi(first.c_str() + 9);
    for (std::string line; !(line = Line()).empty();) {
      const size_t colon = line.find(": ");
      std::string name = line.substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      if (!response.headers.emplace(name, line.substr(colon + 2)).second) Fail("the header {} comes twice", name);
    }
    const auto length = response.headers.find("content-length");
    if (!with_body || length == response.headers.end()) return response;
    const size_t bytes = std::stoul(length->second);
    while (received_.size() < bytes) More();
    response.body = received_.substr(0, bytes);
    received_.erase(0, bytes);
    return response;
  }

  bool HasAnswer() const {
    pollfd waiting{socket_, POLLIN, 0};
    return poll(&waiting, 1, 0) > 0;
  }

  // Waits for the other side to close; false when it sends more instead.
  bool AtEnd() {
    char byte = 0;
    return received_.empty() && recv(socket_, &byte, 1, 0) <= 0 && errno != EAGAIN;
  }

  TestResponse Post(const std::string& path, const std::string& body, const std::string& headers = "") {
    Send(fmt::format("POST {} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n",
                     path, headers, body.size()));
    Send(body);
    return Receive();
  }
  TestResponse Get(const std::string& path) {
    Send(fmt::format("GET {} HTTP/1.1\r\nHost: test\r\n\r\n", path));
    return Receive();
  }

 private:
  void More() {
    char buffer[4096];
    const ssize_t n = recv(socket_, buffer, sizeof(buffer), 0);
    if (n <= 0) Fail("the connection ended after \"{}\"", received_);
    received_.append(buffer, static_cast<size_t>(n));
  }
  std::string Line() {
    size_t end = 0;
    while ((end = received_.find("\r\n")) == std::string::npos) More();
    std::string line = received_.substr(0, end);
    received_.erase(0, end + 2);
    return line;
  }

  int socket_;
  std::string received_;
};

}  // namespace kinetok
