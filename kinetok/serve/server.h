// A policy over HTTP/1.1.
//
//   kinetok::ActService service(policy, {.model = "robot"});
//   kinetok::Server server(service, {.port = 8000});
//   server.Run(stop);                                       // until another thread or a signal sets `stop`
//
//   POST /act     what OpenVLA's clients send and get (serve/act_request.h)
//   GET /health   {"status": "ok", "model", "unnorm_keys", "queue", "answered", "uptime_s"}
//
// Every other request gets a status of 4xx or 5xx and {"error": "..."}. No client can stop the server, make it wait
// longer than the timeouts say, or take more memory than max_held_bytes for all bodies and the images that came in
// them, and six times a body's size while it is read: of those longer than 2 MiB one at a time is, of the others too.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kinetok/serve/act_service.h"
#include "kinetok/serve/api_key.h"

namespace kinetok {

// Throws Error naming the package unless this build can serve: the HTTP library is optional.
void RequireHttp();

struct ServedRequest {
  std::string client, method, path;  // the client's address; empty method and path: not HTTP
  int status = 0;
  double seconds = 0;  // from its first byte until its answer is there
};

struct ServerOptions {
  std::string host = "127.0.0.1";      // a name or an address of this machine
  int port = 8000;                     // 0: one that is free
  std::optional<ApiKey> api_key = {};  // what requests must bring, GET /health aside
  int64_t max_body_bytes = int64_t{40} << 20;
  int64_t max_held_bytes = int64_t{1} << 28;          // of all bodies together, as they arrive; at least max_body_bytes
  int max_connections = 512;                          // a thread each; others wait in the system's queue
  std::chrono::milliseconds idle_timeout{5'000};      // between two requests of a connection
  std::chrono::milliseconds silence_timeout{10'000};  // inside a head, for 256 KiB of a body or its rest to arrive, or
                                                      // while an answer is not read
  std::chrono::milliseconds request_timeout{60'000};  // for a request to arrive
  std::function<void(const ServedRequest&)> on_request = {};  // called by many threads
};

class Server {
 public:
  // Listens. Throws Error when the host is unknown or the port is taken. `service` must outlive the server.
  Server(ActService& service, ServerOptions options);
  ~Server();

  int port() const;
  bool loopback() const;    // only this machine can reach it
  std::string url() const;  // http://127.0.0.1:8000

  // Answers until `stop` is set. Then takes no more connections, answers the requests that have begun, and returns.
  // To be called once.
  void Run(const std::atomic<bool>& stop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kinetok
