// What a data set's actions are like, and the map between them and [-1, 1].
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/json.h"

namespace kinetok {

// Of each dimension, over all steps of the data set.
struct ActionStatistics {
  std::vector<double> q01, q99;             // the bounds that are mapped to -1 and 1
  std::vector<double> mean, std, min, max;  // empty where the file has none
  std::vector<bool> mask;                   // false: passed through as it is (a gripper)
  int64_t num_transitions = 0, num_trajectories = 0;

  int64_t dimensions() const { return static_cast<int64_t>(q01.size()); }

  // 0.5 (x + 1) (q99 - q01) + q01 where `mask` is true, in double.   normalized [dimensions]
  std::vector<double> Unnormalize(std::span<const double> normalized) const;
  // clip(2 (x - q01) / (q99 - q01 + 1e-8) - 1, -1, 1) where `mask` is true, 0 where min == max.   action [dimensions]
  std::vector<double> Normalize(std::span<const double> action) const;
};

// Of rows of actions [steps * dimensions]: quantiles interpolated as numpy.quantile does, the standard deviation of the
// population. The last of seven dimensions is a gripper and passes through (mask), as in OpenVLA's data; no other does.
ActionStatistics ComputeActionStatistics(std::span<const double> actions, int64_t dimensions);

// As dataset_statistics.json has them: what DatasetStatistics reads.
OrderedJson StatisticsToJson(const std::string& dataset, const ActionStatistics& statistics);

// {data set: {"action": {q01, q99, mean, std, min, max, mask}, "num_transitions": ...}}, as norm_stats of config.json
// or dataset_statistics.json have it. Throws Error naming `source`, the data set and the field: lists of different
// lengths, numbers that are not finite, q99 < q01.
class DatasetStatistics {
 public:
  DatasetStatistics() = default;
  DatasetStatistics(const Json& json, std::string_view source);

  // The only one when `unnorm_key` is empty. Throws Error naming the known ones when there are several or none of that
  // name.
  const std::pair<const std::string, ActionStatistics>& Choose(std::string_view unnorm_key) const;
  const std::map<std::string, ActionStatistics>& all() const { return all_; }
  bool empty() const { return all_.empty(); }

 private:
  std::string source_;
  std::map<std::string, ActionStatistics> all_;
};

}  // namespace kinetok
