#include "kinetok/io/shards.h"

#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/base/json.h"

namespace kinetok {

std::vector<Shard> PlanShards(const std::vector<TensorSpec>& tensors, int64_t max_bytes) {
  std::vector<Shard> shards;
  Shard current;
  int64_t bytes = 0;
  for (const TensorSpec& t : tensors) {
    const int64_t size = TensorBytes(t);
    if (size > max_bytes) {
      shards.push_back({"", {t}});
      continue;
    }
    if (size + bytes > max_bytes) {
      shards.push_back(std::exchange(current, {}));
      bytes = 0;
    }
    current.tensors.push_back(t);
    bytes += size;
  }
  if (!current.tensors.empty()) shards.push_back(std::move(current));
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i].file = shards.size() == 1 ? "model.safetensors"
                                        : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
  }
  return shards;
}

std::string ShardIndex(const std::vector<Shard>& shards, int64_t parameters) {
  Json files = Json::object();  // sorted by name, as transformers writes it
  int64_t bytes = 0;
  for (const Shard& shard : shards) {
    for (const TensorSpec& t : shard.tensors) {
      files[t.name] = shard.file;
      bytes += TensorBytes(t);
    }
  }
  const Json index = {{"metadata", {{"total_parameters", parameters}, {"total_size", bytes}}}, {"weight_map", files}};
  return index.dump(2) + "\n";
}

}  // namespace kinetok
