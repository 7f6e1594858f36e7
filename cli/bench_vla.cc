#include "cli/bench_vla.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>

#include "cli/table.h"
#include "kinetok/base/sha256.h"
#include "kinetok/base/summary.h"
#include "kinetok/vla/policy.h"

namespace kinetok::cli {
namespace {

constexpr int kWarmUp = 3;  // calls that fill pages and caches, and are not counted
constexpr const char* kInstruction = "pick up the red block";

struct Part {
  const char* name;
  double ActionTimings::*seconds;
};
constexpr std::array<Part, 4> kParts = {{{"image", &ActionTimings::image_s},
                                         {"vision", &ActionTimings::vision_s},
                                         {"prefill", &ActionTimings::prefill_s},
                                         {"decode", &ActionTimings::decode_s}}};

// A camera's picture: gradients, edges and a red block.
Image DrawScene() {
  Image scene(640, 480);
  for (int64_t y = 0; y < scene.height; ++y) {
    for (int64_t x = 0; x < scene.width; ++x) {
      const bool block = std::abs(x - 400) < 40 && std::abs(y - 300) < 30, tile = (x / 32 + y / 24) % 2 == 0;
      uint8_t* pixel = scene.row(y) + 3 * x;
      pixel[0] = block ? 210 : static_cast<uint8_t>(x * 255 / scene.width);
      pixel[1] = block ? 30 : static_cast<uint8_t>(y * 255 / scene.height);
      pixel[2] = block ? 30 : tile ? 180 : 90;
    }
  }
  return scene;
}

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

int BenchVla(const Common& common, const std::string& model, int64_t calls) {
  Policy policy(RequireModel(model), {.threads = common.threads, .isa = common.isa}, common.Loading());
  const Image scene = DrawScene();
  // Whichever data set: its statistics only scale the last seven numbers.
  const auto& datasets = policy.config().statistics.all();
  const std::string unnorm_key = datasets.empty() ? "" : datasets.begin()->first;
  std::vector<double> action_ms;
  std::array<std::vector<double>, kParts.size()> parts_ms;
  Sha256 fingerprint;
  for (int64_t call = -kWarmUp; call < calls; ++call) {
    const Stopwatch clock;
    const Action action = policy.Act(scene.view(), kInstruction, {.unnorm_key = unnorm_key});
    const double taken = clock.Seconds();
    if (call < 0) continue;
    action_ms.push_back(1e3 * taken);
    for (size_t i = 0; i < kParts.size(); ++i) parts_ms[i].push_back(1e3 * (action.timings.*kParts[i].seconds));
    fingerprint.Update(std::as_bytes(std::span(action.values)));
  }

  const double total_ms = Sum(action_ms), actions_per_s = 1e3 * static_cast<double>(calls) / total_ms;
  const double p50 = Percentile(action_ms, 0.5), p99 = Percentile(action_ms, 0.99), worst = Percentile(action_ms, 1);
  Table table({"", "median ms", "share"});
  OrderedJson medians, shares;
  for (size_t i = 0; i < kParts.size(); ++i) {
    const double median = Percentile(parts_ms[i], 0.5), share = Sum(parts_ms[i]) / total_ms;
    medians[kParts[i].name] = median;
    shares[kParts[i].name] = share;
    table.Add({kParts[i].name, fmt::format("{:.2f}", median), fmt::format("{:.1f}%", 100 * share)});
  }
  const std::string hex = fingerprint.Hex();
  if (common.json) {
    PrintJson({{"vla",
                {{"calls", calls},
                 {"action_ms", {{"p50", p50}, {"p99", p99}, {"max", worst}}},
                 {"parts_ms", medians},
                 {"shares", shares},
                 {"actions_per_s", actions_per_s},
                 {"actions_fingerprint", hex}}},
               {"threads", policy.threads()},
               {"isa", IsaName(policy.isa())}});
    return 0;
  }
  Print(fmt::format("{} calls, {} threads, {}, {:.2f} GB of weights\n", calls, policy.threads(), IsaName(policy.isa()),
                    static_cast<double>(policy.model().weight_bytes()) / 1e9));
  Print(table.Text());
  Print(fmt::format("action  p50 {:.2f} ms  p99 {:.2f} ms  max {:.2f} ms  {:.1f} actions/s\n", p50, p99, worst,
                    actions_per_s));
  Print(fmt::format("actions {}\n", hex));
  return 0;
}

}  // namespace kinetok::cli
