// How a model's tensors are spread over files, as Hugging Face transformers does it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kinetok/io/tensor_writer.h"

namespace kinetok {

struct Shard {
  std::string file;  // "model.safetensors", or "model-00001-of-00003.safetensors"
  std::vector<TensorSpec> tensors;
};

// In the order given, a new file as soon as the next tensor would make it larger than `max_bytes`; a tensor that is
// larger by itself has a file of its own.
std::vector<Shard> PlanShards(const std::vector<TensorSpec>& tensors, int64_t max_bytes);

// The text of model.safetensors.index.json.
std::string ShardIndex(const std::vector<Shard>& shards, int64_t parameters);

}  // namespace kinetok
