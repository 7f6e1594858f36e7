#include "kinetok/serve/act_service.h"

#include <exception>
#include <new>
#include <optional>
#include <utility>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

constexpr size_t kLongBody = 2 << 20;  // bytes; a camera's image of 640 x 480 is shorter

}  // namespace

Answer ErrorAnswer(int status, std::string_view sentence) {
  return {status, Json({{"error", sentence}}).dump(-1, ' ', true, Json::error_handler_t::replace)};
}

ActService::ActService(Policy& policy, ActServiceOptions options)
    : policy_(policy), options_(std::move(options)), turns_(options_.queue) {
  const DatasetStatistics& statistics = policy_.config().statistics;
  if (!options_.unnorm_key.empty() || statistics.empty()) statistics.Choose(options_.unnorm_key);
}

Answer ActService::Act(std::string body, const std::function<bool()>& gone) {
  std::optional<ActRequest> request;
  try {
    try {
      request = Read(std::move(body));
    } catch (const Error& error) {
      return ErrorAnswer(400, error.what());
    }
    return Compute(*request, gone);
  } catch (const std::bad_alloc&) {
    return ErrorAnswer(500, "out of memory");
  } catch (const std::exception& error) {  // an Error too: the request was found in order
    return ErrorAnswer(500, error.what());
  }
}

ActRequest ActService::Read(std::string body) const {
  const auto turn = (body.size() > kLongBody ? long_bodies_ : short_bodies_).Take();
  ActRequest request = ParseActRequest(std::move(body), options_.max_image_pixels);
  if (request.unnorm_key.empty()) request.unnorm_key = options_.unnorm_key;
  policy_.CheckRequest(request.image.view(), request.instruction, request.unnorm_key);
  return request;
}

Answer ActService::Compute(const ActRequest& request, const std::function<bool()>& gone) {
  const bool waits = turns_.length() > 0;
  const std::optional<Turns::Turn> turn = turns_.Take();
  if (!turn) {
    return ErrorAnswer(503, fmt::format("{} requests are waiting, the most that may (--queue); ask again in a second",
                                        turns_.places()));
  }
  if (waits && gone()) return ErrorAnswer(kClientGone, "the client closed the connection before its turn came");
  const Action action = policy_.Act(request.image.view(), request.instruction, {.unnorm_key = request.unnorm_key});
  ++answered_;
  return {200, FormatAction(action.values, request.encoded)};
}

Answer ActService::Health(bool stopping) const {
  OrderedJson keys = OrderedJson::array();
  for (const auto& dataset : policy_.config().statistics.all()) keys.push_back(dataset.first);
  const std::chrono::duration<double> uptime = std::chrono::steady_clock::now() - start_;
  const OrderedJson json = {{"status", stopping ? "stopping" : "ok"},
                            {"model", options_.model},
                            {"unnorm_keys", keys},
                            {"queue", turns_.length()},
                            {"answered", answered_.load()},
                            {"uptime_s", uptime.count()}};
  return {200, json.dump(-1, ' ', true, OrderedJson::error_handler_t::replace)};
}

}  // namespace kinetok
