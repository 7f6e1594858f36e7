#include "kinetok/vla/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

constexpr int64_t kMaxDimensions = 1024;

std::vector<double> Numbers(const JsonObject& o, std::string_view key) {
  const Json& values = o.Array(key);
  std::vector<double> out;
  for (const Json& v : values) {
    if (!v.is_number() || !std::isfinite(v.get<double>())) {
      Fail("{}: field \"{}\" holds {}, expected numbers", o.source(), key, Shorten(v));
    }
    out.push_back(v.get<double>());
  }
  return out;
}

void SameLength(const JsonObject& o, std::string_view key, size_t length, size_t expected) {
  if (length != expected) {
    Fail("{}: field \"{}\" has {} entries, expected {}, as q01 has", o.source(), key, length, expected);
  }
}

ActionStatistics Read(const JsonObject& o) {
  ActionStatistics s;
  s.q01 = Numbers(o, "q01");
  if (s.q01.empty() || static_cast<int64_t>(s.q01.size()) > kMaxDimensions) {
    Fail("{}: field \"q01\" has {} entries, expected 1 to {}", o.source(), s.q01.size(), kMaxDimensions);
  }
  s.q99 = Numbers(o, "q99");
  SameLength(o, "q99", s.q99.size(), s.q01.size());
  for (const auto& [key, list] : {std::pair{"mean", &s.mean}, {"std", &s.std}, {"min", &s.min}, {"max", &s.max}}) {
    if (!o.Has(key)) continue;
    *list = Numbers(o, key);
    SameLength(o, key, list->size(), s.q01.size());
  }
  s.mask.assign(s.q01.size(), true);
  if (o.Has("mask")) {
    const Json& mask = o.Array("mask");
    SameLength(o, "mask", mask.size(), s.q01.size());
    for (size_t i = 0; i < mask.size(); ++i) {
      if (!mask[i].is_boolean())
        Fail("{}: field \"mask\" holds {}, expected true or false", o.source(), Shorten(mask[i]));
      s.mask[i] = mask[i].get<bool>();
    }
  }
  for (size_t i = 0; i < s.q01.size(); ++i) {
    if (!std::isfinite(s.q99[i] - s.q01[i])) {
      Fail("{}: dimension {} reaches from q01 {} to q99 {}, expected a finite range", o.source(), i, s.q01[i],
           s.q99[i]);
    }
    if (s.mask[i] && s.q99[i] < s.q01[i]) {
      Fail("{}: dimension {} has q99 {} below q01 {}, expected the higher bound in q99", o.source(), i, s.q99[i],
           s.q01[i]);
    }
  }
  return s;
}

}  // namespace

std::vector<double> ActionStatistics::Unnormalize(std::span<const double> normalized) const {
  KINETOK_CHECK(normalized.size() == q01.size());
  std::vector<double> out(normalized.begin(), normalized.end());
  for (size_t i = 0; i < out.size(); ++i) {
    if (mask[i]) out[i] = 0.5 * (out[i] + 1) * (q99[i] - q01[i]) + q01[i];
  }
  return out;
}

std::vector<double> ActionStatistics::Normalize(std::span<const double> action) const {
  KINETOK_CHECK(action.size() == q01.size());
  std::vector<double> out(action.begin(), action.end());
  for (size_t i = 0; i < out.size(); ++i) {
    if (mask[i]) out[i] = std::clamp(2 * (out[i] - q01[i]) / (q99[i] - q01[i] + 1e-8) - 1, -1.0, 1.0);
    if (!min.empty() && !max.empty() && min[i] == max[i]) out[i] = 0;
  }
  return out;
}

ActionStatistics ComputeActionStatistics(std::span<const double> actions, int64_t dimensions) {
  KINETOK_CHECK(dimensions > 0 && !actions.empty() && static_cast<int64_t>(actions.size()) % dimensions == 0);
  const int64_t steps = static_cast<int64_t>(actions.size()) / dimensions;
  ActionStatistics s;
  s.num_transitions = steps;
  std::vector<double> column(static_cast<size_t>(steps));
  for (int64_t d = 0; d < dimensions; ++d) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < steps; ++i) {
      column[i] = actions[i * dimensions + d];
      sum += column[i];
    }
    const double mean = sum / static_cast<double>(steps);
    for (const double x : column) squares += (x - mean) * (x - mean);
    std::sort(column.begin(), column.end());
    const auto quantile = [&](double q) {
      const double at = q * static_cast<double>(steps - 1);
      const auto below = static_cast<int64_t>(at);
      const int64_t above = std::min(below + 1, steps - 1);
      return column[below] + (column[above] - column[below]) * (at - static_cast<double>(below));
    };
    s.mean.push_back(mean);
    s.std.push_back(std::sqrt(squares / static_cast<double>(steps)));
    s.min.push_back(column.front());
    s.max.push_back(column.back());
    s.q01.push_back(quantile(0.01));
    s.q99.push_back(quantile(0.99));
    s.mask.push_back(dimensions != 7 || d != 6);
  }
  return s;
}

OrderedJson StatisticsToJson(const std::string& dataset, const ActionStatistics& s) {
  return {{dataset,
           {{"action",
             {{"mean", s.mean},
              {"std", s.std},
              {"max", s.max},
              {"min", s.min},
              {"q01", s.q01},
              {"q99", s.q99},
              {"mask", s.mask}}},
            {"num_transitions", s.num_transitions},
            {"num_trajectories", s.num_trajectories}}}};
}

DatasetStatistics::DatasetStatistics(const Json& json, std::string_view source) : source_(source) {
  const JsonObject o(json, source_);
  for (const auto& [name, value] : json.items()) {
    const JsonObject dataset(value, fmt::format("{}: {}", source, name));
    const JsonObject action(dataset.Object("action").json(), fmt::format("{}: {}.action", source, name));
    ActionStatistics s = Read(action);
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    s.num_transitions = dataset.Int("num_transitions", 0, kMost, 0);
    s.num_trajectories = dataset.Int("num_trajectories", 0, kMost, 0);
    all_.emplace(name, std::move(s));
  }
}

const std::pair<const std::string, ActionStatistics>& DatasetStatistics::Choose(std::string_view unnorm_key) const {
  if (all_.empty())
    Fail("{}: holds no statistics of actions (norm_stats), without which tokens are no motion", source_);
  std::vector<std::string> names;
  for (const auto& entry : all_) names.push_back(entry.first);
  if (unnorm_key.empty()) {
    if (all_.size() == 1) return *all_.begin();
    Fail("{}: holds statistics of {} data sets; unnorm_key must name one of {}", source_, all_.size(),
         fmt::join(names, ", "));
  }
  const auto it = all_.find(std::string(unnorm_key));
  if (it == all_.end()) {
    Fail("unnorm_key is \"{}\", which {} does not hold; expected one of {}", unnorm_key, source_,
         fmt::join(names, ", "));
  }
  return *it;
}

}  // namespace kinetok
