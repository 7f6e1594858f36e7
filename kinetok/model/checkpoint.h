// Model directories in Hugging Face's layout (config.json, generation_config.json, model.safetensors, tokenizer.json)
// and GGUF files: where the tensors of files meet the parameters of a model.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kinetok/io/checkpoint.h"
#include "kinetok/model/config.h"
#include "kinetok/model/parameters.h"
#include "kinetok/text/tokenizer.h"

namespace kinetok {

// config.json, with the special tokens of generation_config.json, when there is one, in place of its own; without one,
// what the shapes of GPT-1's first release say.
ModelConfig LoadDirectoryConfig(const std::filesystem::path& dir);

// The files' tensors matched with what the model needs. Throws Error naming the tensor that is missing, has another
// shape or an unusable type, or that no model of this configuration reads.
struct MatchedTensors {
  std::vector<PublishedTensor> needed;   // all of the files' layout: PublishedTensors, or GgufTensors
  std::vector<const TensorData*> found;  // by index of `needed`; null where no model reads it (an untied BERT's bias)
  std::vector<std::string> unread;       // present, known, and not needed (mask buffers, a copy of the tied head)
};
MatchedTensors MatchTensors(const Checkpoint& checkpoint, const ModelConfig& config, const ParameterList& list);

// A model's files, opened and checked but not read: a Hugging Face directory or a GGUF file. One way for both.
class ModelFiles {
 public:
  explicit ModelFiles(const std::filesystem::path& path);  // Throws Error naming file, field and value

  const ModelConfig& config() const { return config_; }
  const Checkpoint& checkpoint() const { return *checkpoint_; }
  const ParameterList& parameters() const { return list_; }
  const MatchedTensors& tensors() const { return tensors_; }
  std::shared_ptr<const Tokenizer> LoadTokenizer() const;  // Throws Error when there is none

 private:
  ModelConfig config_;  // set while the checkpoint is opened, so it comes first
  std::unique_ptr<const Checkpoint> checkpoint_;
  ParameterList list_;
  MatchedTensors tensors_;
};

// The tokenizer at `path`: a GGUF file's own, otherwise what Tokenizer::Load finds there.
std::shared_ptr<const Tokenizer> LoadTokenizer(const std::filesystem::path& path);

// Throws Error when the model has no row for an id of the tokenizer, or ends its texts with an id that it lacks.
void CheckTokenizer(const std::filesystem::path& path, const Tokenizer& tokenizer, const ModelConfig& config);

// Rows that lie `stride` rows apart in a tensor's file, from row `stored` on, and follow each other in the parameter.
struct StoredRun {
  int64_t stored = 0, stride = 1, parameter_row = 0, rows = 0;
};
std::vector<StoredRun> StoredRuns(const PublishedTensor& tensor);

// Reads a tensor into its rows of `parameter` [rows, columns] (columns 1: a vector), in f32 and in our order.
void ReadTensor(const TensorData& data, const PublishedTensor& tensor, int64_t columns, std::span<float> parameter);

// All parameters in f32, as training holds them; `path` as of ModelFiles.   flat [list.elements]
void LoadParameters(const std::filesystem::path& path, const ModelConfig& config, const ParameterList& list,
                    std::span<float> flat);

// Writes the four files, each atomically, config.json last; `tokenizer` may be null. The directory is created.
void SaveCheckpoint(const std::filesystem::path& dir, const ModelConfig& config, std::span<const float> flat,
                    const Tokenizer* tokenizer, DType dtype);
// "float32", ...: config.json's torch_dtype.
std::string_view HuggingFaceDType(DType dtype);

// config.json and generation_config.json alone (model.safetensors is written by others, e.g. streamed).
void SaveConfig(const std::filesystem::path& dir, const ModelConfig& config, DType dtype);

}  // namespace kinetok
