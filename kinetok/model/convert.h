// A model in another format: between Hugging Face directories and GGUF files, other element types, other shards.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "kinetok/tensor/dtype.h"

namespace kinetok {

struct ConvertOptions {
  // Of the weights. Absent: every value is kept, in the type that it has; what GGUF always stores in f32 (vectors,
  // positions) comes back in the type of the matrices where that loses nothing.
  std::optional<DType> dtype = std::nullopt;
  int64_t max_shard_bytes = 50'000'000'000;                     // of a directory's files, the default of transformers 5
  bool tokenizer = true;                                        // false: leave it out
  bool force = false;                                           // replace a model that is there
  std::function<void(int64_t done, int64_t total)> progress{};  // bytes of tensors
};

struct ConvertResult {
  int64_t parameters = 0, tensors = 0;
  int64_t bytes = 0;  // of the files with the weights
};

// Throws Error when something is at `to` that must not be lost: anything but an empty directory, or with `force`
// anything but a model.
void CheckTarget(const std::filesystem::path& to, bool gguf, bool force);

// What a policy has beside its weights: how images are read, and what its actions mean. Later copies win.
void CopyPolicyFiles(const std::filesystem::path& from, const std::filesystem::path& to);

// Reads `from` (as Model::Load does) and writes `to`, a GGUF file when it ends in .gguf and otherwise a Hugging Face
// directory. Tensors are streamed, one piece in memory at a time. `to` appears when it is complete, or stays as it was.
// Throws Error for whatever cannot be read, for a model or a tokenizer that the other format has no form for, for a
// value that the new type cannot hold (the tensor is named), and when something is at `to` already.
ConvertResult ConvertModel(const std::filesystem::path& from, const std::filesystem::path& to,
                           const ConvertOptions& options = {});

}  // namespace kinetok
