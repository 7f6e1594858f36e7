// The tensors of a Hugging Face model directory, in one file or in shards.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "kinetok/io/safetensors.h"

namespace kinetok {

class Checkpoint {
 public:
  // A directory with model.safetensors, or with model.safetensors.index.json and the shards it lists; or one
  // .safetensors file. Throws Error naming the file for whatever is missing, malformed or contradictory: a shard or a
  // tensor that the index lists and that is not there, one that it does not list, a path that leaves the directory.
  explicit Checkpoint(const std::filesystem::path& path);

  // By file name, then by offset.
  const std::vector<TensorData>& tensors() const { return tensors_; }
  const TensorData* Find(std::string_view name) const;  // nullptr when absent
  int64_t bytes() const;                                // of all tensors

 private:
  void Add(const std::filesystem::path& file);
  void AddShards(const std::filesystem::path& dir);
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::vector<TensorData> tensors_;
  std::map<std::string_view, size_t> by_name_;  // of tensors_
};

}  // namespace kinetok
