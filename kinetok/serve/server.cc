#include "kinetok/serve/server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/serve/http_connection.h"

namespace kinetok {
namespace {

constexpr int kBacklog = 1024;
constexpr std::chrono::milliseconds kGlance{50};  // how often `stop` is looked at

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Descriptor Listen(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int fault = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); fault != 0) {
    Fail("host is \"{}\", expected a name or an address of this machine: {}", host, gai_strerror(fault));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);
  int error = 0;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    Descriptor socket(::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol));
    const int on = 1;
    // A port that still remembers closed connections is free; one that somebody listens at is not.
    if (setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(socket.get(), a->ai_addr, a->ai_addrlen) == 0 && listen(socket.get(), kBacklog) == 0) {
      return socket;
    }
    error = errno;
  }
  if (error == EADDRINUSE) Fail("port {} of {} is taken, expected a free one; port 0 finds one", port, host);
  Fail("port {} of {} cannot be listened at: {}", port, host, std::strerror(error));
}

}  // namespace

struct Server::State {
  State(ActService& the_service, ServerOptions the_options)
      : options(std::move(the_options)),
        bodies(std::max(options.max_held_bytes, options.max_body_bytes), options.max_body_bytes),
        listener(Listen(options.host, options.port)),
        stop_event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        context{the_service, options, bodies, stopping, stop_event.get(), connections} {
    if (stop_event.get() < 0) Fail("no event can be made: {}", std::strerror(errno));
    socklen_t length = sizeof(address);
    getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length);
  }

  void Run(const std::atomic<bool>& stop);
  void Accept();
  void Start(Descriptor socket);
  void Serve(int socket);

  const ServerOptions options;
  ByteBudget bodies;
  Descriptor listener, stop_event;
  sockaddr_storage address{};
  std::atomic<bool> stopping = false;
  std::atomic<int> connections = 0;
  std::mutex mutex;
  std::condition_variable closed;  // `connections` has become less
  ConnectionContext context;
};

// Takes what waits in the system's queue.
void Server::State::Accept() {
  while (connections < options.max_connections) {
    Descriptor socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.get() >= 0) {
      Start(std::move(socket));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      std::this_thread::sleep_for(kGlance);  // until a client leaves
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

void Server::State::Start(Descriptor socket) {
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ++connections;
  try {
    std::thread([this, fd = socket.get()] { Serve(fd); }).detach();
    socket.Release();
  } catch (const std::system_error&) {  // no thread can be had: this client is sent away
    --connections;
  }
}

void Server::State::Serve(int socket) {
  ServeConnection(socket, context);
  close(socket);
  const std::lock_guard lock(mutex);  // the last one to leave lets Run return, which may end all this
  --connections;
  closed.notify_all();
}

void Server::State::Run(const std::atomic<bool>& stop) {
  pollfd waiting{listener.get(), POLLIN, 0};
  while (!stop) {
    if (connections < options.max_connections) {
      poll(&waiting, 1, static_cast<int>(kGlance.count()));
    } else {
      std::unique_lock lock(mutex);
      closed.wait_for(lock, kGlance, [&] { return connections < options.max_connections; });
    }
    Accept();
  }
  Accept();  // who has come before the stop is answered
  listener = Descriptor();
  stopping = true;
  const uint64_t one = 1;
  (void)!write(stop_event.get(), &one, sizeof(one));
  std::unique_lock lock(mutex);
  closed.wait(lock, [&] { return connections == 0; });
}

Server::Server(ActService& service, ServerOptions options) {
  RequireHttp();
  state_ = std::make_unique<State>(service, std::move(options));
}

Server::~Server() = default;

void Server::Run(const std::atomic<bool>& stop) {
  state_->Run(stop);
}

int Server::port() const {
  const sockaddr_storage& a = state_->address;
  return ntohs(a.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(a).sin6_port
                                       : reinterpret_cast<const sockaddr_in&>(a).sin_port);
}

bool Server::loopback() const {
  const sockaddr_storage& a = state_->address;
  if (a.ss_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(a).sin6_addr);
  return ntohl(reinterpret_cast<const sockaddr_in&>(a).sin_addr.s_addr) >> 24 == 127;
}

std::string Server::url() const {
  const std::string& host = state_->options.host;
  return host.find(':') == std::string::npos ? fmt::format("http://{}:{}", host, port())
                                             : fmt::format("http://[{}]:{}", host, port());
}

}  // namespace kinetok
