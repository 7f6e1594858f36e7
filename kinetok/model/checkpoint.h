// Model directories in Hugging Face's layout: config.json, generation_config.json, model.safetensors, tokenizer.json.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "kinetok/io/checkpoint.h"
#include "kinetok/model/config.h"
#include "kinetok/model/parameters.h"
#include "kinetok/text/tokenizer.h"

namespace kinetok {

// config.json, with the special tokens of generation_config.json, when there is one, in place of its own.
ModelConfig LoadDirectoryConfig(const std::filesystem::path& dir);

// The file's tensors matched with what the model needs. Throws Error naming the tensor that is missing, has another
// shape or an unusable type, or that no model of this configuration reads.
struct MatchedTensors {
  std::vector<const TensorData*> found;  // by PublishedTensors index
  std::vector<std::string> unread;       // present, known, and not needed (mask buffers, a copy of the tied head)
};
MatchedTensors MatchTensors(const std::filesystem::path& dir, const Checkpoint& checkpoint, const ModelConfig& config,
                            const std::vector<PublishedTensor>& needed);

// All parameters in f32, as training holds them.   flat [list.elements]
void LoadParameters(const std::filesystem::path& dir, const ModelConfig& config, const ParameterList& list,
                    std::span<float> flat);

// Writes the four files, each atomically, config.json last; `tokenizer` may be null. The directory is created.
void SaveCheckpoint(const std::filesystem::path& dir, const ModelConfig& config, std::span<const float> flat,
                    const Tokenizer* tokenizer, DType dtype);
// config.json and generation_config.json alone (model.safetensors is written by others, e.g. streamed).
void SaveConfig(const std::filesystem::path& dir, const ModelConfig& config, DType dtype);

}  // namespace kinetok
