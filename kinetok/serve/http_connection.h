// One client's connection, from its first request to its end. The only part that knows the HTTP library: from it come
// reading a request's head and writing an answer's; sockets, time and memory are looked after here and in server.cc.
#pragma once

#include <atomic>

#include "kinetok/serve/byte_budget.h"
#include "kinetok/serve/server.h"

namespace kinetok {

// What the connections of a server share.
struct ConnectionContext {
  ActService& service;
  const ServerOptions& options;
  ByteBudget& bodies;
  const std::atomic<bool>& stopping;
  int stop_event = -1;                  // readable once `stopping` is set
  const std::atomic<int>& connections;  // that are open
};

// Answers the requests of `socket`, which is non-blocking and stays the caller's. Never throws.
void ServeConnection(int socket, const ConnectionContext& context) noexcept;

}  // namespace kinetok
