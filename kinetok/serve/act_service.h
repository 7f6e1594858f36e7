// What a policy's server answers, whatever carries its questions.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "kinetok/serve/act_request.h"
#include "kinetok/serve/turns.h"
#include "kinetok/vla/policy.h"

namespace kinetok {

// JSON with HTTP's status; an error is {"error": "a sentence that names field, value and what was expected"}.
struct Answer {
  int status = 200;
  std::string body;
};
Answer ErrorAnswer(int status, std::string_view sentence);

// The status of an answer that nobody is there to read, as nginx counts it.
inline constexpr int kClientGone = 499;

struct ActServiceOptions {
  std::string model = {};       // the name that Health gives
  std::string unnorm_key = {};  // of requests that name none
  int64_t max_image_pixels = int64_t{1} << 23;
  int64_t queue = 256;  // requests that are answered or wait
};

// Thread-safe. Requests are answered one at a time, in the order in which they came.
class ActService {
 public:
  // `policy` must outlive the service. Throws Error when it does not have the options' unnorm_key, or no statistics.
  ActService(Policy& policy, ActServiceOptions options);

  // POST /act (serve/act_request.h): the action; 400 when the request is at fault, 500 when the policy or this machine
  // is, 503 when the queue is full.
  // `gone` is asked when a request that had to wait has its turn: for a client that has left nothing is computed.
  Answer Act(
      std::string body, const std::function<bool()>& gone = [] { return false; });

  // GET /health.
  Answer Health(bool stopping = false) const;

  // Whoever takes a turn keeps the policy for themselves.
  Turns& turns() { return turns_; }

 private:
  ActRequest Read(std::string body) const;  // throws Error when the request is at fault
  Answer Compute(const ActRequest& request, const std::function<bool()>& gone);

  Policy& policy_;
  const ActServiceOptions options_;
  Turns turns_;
  // Reading takes several times a body's memory: one long body at a time, and one short one that need not wait for it.
  mutable Turns long_bodies_{std::numeric_limits<int64_t>::max()}, short_bodies_{std::numeric_limits<int64_t>::max()};
  std::atomic<int64_t> answered_ = 0;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace kinetok
