// The tensors of a model: of a Hugging Face directory, in one file or in shards, or of a GGUF file.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "kinetok/io/gguf.h"
#include "kinetok/io/tensor_file.h"

namespace kinetok {

class Checkpoint {
 public:
  // A directory with model.safetensors, with model.safetensors.index.json and the shards it lists, or with GPT-1's
  // params_shapes.json and params_*.npy; or one .safetensors or .gguf file (told by how it begins). Throws Error naming
  // the file for whatever is missing, malformed or contradictory: a shard or a tensor that the index lists and that is
  // not there, one that it does not list, a path that leaves the directory.
  explicit Checkpoint(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const GgufFile* gguf() const { return gguf_; }  // nullptr when it is no GGUF file
  // By file name, then by offset.
  const std::vector<TensorData>& tensors() const { return tensors_; }
  const TensorData* Find(std::string_view name) const;  // nullptr when absent
  int64_t bytes() const;                                // of all tensors

 private:
  const TensorFile& Add(std::unique_ptr<TensorFile> file);
  void AddShards(const std::filesystem::path& dir);
  std::filesystem::path path_;
  std::vector<std::unique_ptr<TensorFile>> files_;
  const GgufFile* gguf_ = nullptr;  // of files_
  std::vector<TensorData> tensors_;
  std::map<std::string_view, size_t> by_name_;  // of tensors_
};

}  // namespace kinetok
