// A model ready to run: configuration, packed weights, tokenizer.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/kernels/matmul.h"
#include "kinetok/kernels/rope.h"
#include "kinetok/model/config.h"
#include "kinetok/model/kv_cache.h"
#include "kinetok/model/lora.h"
#include "kinetok/model/parameters.h"
#include "kinetok/model/program.h"
#include "kinetok/tensor/dtype.h"
#include "kinetok/text/tokenizer.h"

namespace kinetok {

// What Load does about the tokenizer's file.
enum class TokenizerUse : uint8_t {
  kRequired,    // Error when it is missing, not supported, or does not belong to the model
  kIfPossible,  // tokenizer() is null then, and tokenizer_problem() says why
  kNone,        // never read: ids in, ids out
};

struct LoadOptions {
  std::optional<DType> dtype = std::nullopt;  // of the packed matrices; as stored when absent
  TokenizerUse tokenizer = TokenizerUse::kRequired;
  // A PEFT adapter's directory. It runs beside the model's matrices, in f32; or merged into them, where their type
  // rounds what it changes: in bf16 a small change is lost.
  std::filesystem::path adapter = {};
  bool merge_adapter = false;
};

// One row of a ragged batch: a token of some sequence of the cache, at the next position, or an embedding in its place.
struct BatchRow {
  int32_t token = 0;
  int sequence = 0;  // of the KvCache
  bool want_logits = false;
  const float* embedding = nullptr;  // [hidden_size], an image's row of EncodeImages; `token` is then not looked at
};

class ModelFiles;

// Called after each step of a forward pass with the buffers that it worked on (steps.h): to look, not to touch.
struct StepContext;
using StepObserver = std::function<void(const Step&, const StepContext&)>;

// Scratch memory of one caller of Forward; grows as needed, reusable.
class Workspace {
 public:
  Workspace();
  ~Workspace();
  Workspace(Workspace&&) noexcept;
  Workspace& operator=(Workspace&&) noexcept;
  void Observe(StepObserver observer);  // every pass from now on
  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

class Model {
 public:
  // Reads a Hugging Face directory or a .gguf file, which is mapped: memory holds the packed weights and the tensor
  // that is being packed. Throws Error naming file, field and value; checks free memory first.
  static std::shared_ptr<const Model> Load(Context& context, const std::filesystem::path& path,
                                           const LoadOptions& options = {});
  // From parameters in memory (training's flat array): what the trainer samples and evaluates with, and tests.
  static std::shared_ptr<const Model> FromParameters(Context& context, const ModelConfig& config,
                                                     std::span<const float> flat, DType dtype,
                                                     std::shared_ptr<const Tokenizer> tokenizer);

  // Random weights, drawn straight into packed form: what benchmarks run.
  static std::shared_ptr<const Model> Random(Context& context, const ModelConfig& config, uint64_t seed, DType dtype);

  const ModelConfig& config() const { return config_; }
  const Tokenizer* tokenizer() const { return tokenizer_.get(); }
  const std::string& tokenizer_problem() const { return tokenizer_problem_; }  // of TokenizerUse::kIfPossible
  int64_t weight_bytes() const;            // of the packed weights, adapter included
  int64_t matrix_bytes_per_token() const;  // what one decode step reads
  int64_t parameters() const { return list_.parameters; }

  // Runs the rows through the model: their keys and values are appended to their sequences in `cache` (rows of one
  // sequence are consecutive in position, any number of sequences). Returns logits [rows that want them, vocab_size], a
  // view into `workspace`, valid until its next use. Tokens must be in [0, vocab_size), positions below the context:
  // Error otherwise, with nothing appended. The bits of a row's logits depend on its sequence's tokens alone.
  // A model with full masks (BERT) reads each sequence whole, in one call: Error otherwise. Throws Error when the model
  // has no head. Thread-safe for different caches, workspaces and contexts.
  Rows<const float> Forward(Context& context, std::span<const BatchRow> rows, KvCache& cache,
                            Workspace& workspace) const;
  // The same, but returns the last layer's output [rows, hidden_size] of every row (after the final norm, if any).
  Rows<const float> Hidden(Context& context, std::span<const BatchRow> rows, KvCache& cache,
                           Workspace& workspace) const;

  // Runs images through the towers and the projector. Returns what the decoder sees of them [images * ImagePatches(),
  // hidden_size], a view into `workspace`, valid until its next use. Throws Error when the model has no towers.
  //   pixels  [images, 3 * towers, image_size, image_size], as each tower wants them normalised
  Rows<const float> EncodeImages(Context& context, std::span<const float> pixels, Workspace& workspace) const;
  int64_t ImageFloats() const;  // of one image in `pixels`

 private:
  explicit Model(ModelConfig config);
  // Throws Error when `weight_bytes` and the rotary table do not fit, then makes the table.
  void Prepare(int64_t weight_bytes, const std::string& what);
  void LoadLora(Context& context, const ModelFiles& files, const LoadOptions& options);
  // Checks the rows, makes room in the cache, and lists who sees what.
  void BindRows(std::span<const BatchRow> rows, KvCache& cache, Workspace::State& state) const;
  // Runs the rows through the decoder; `wanted` more rows of hidden_size are free at `gathered`. All of it stays until
  // the workspace's next use.
  struct Pass {
    Rows<float> hidden, output, gathered;
  };
  Pass Run(Context& context, std::span<const BatchRow> rows, int64_t wanted, KvCache& cache,
           Workspace::State& state) const;
  // Lays a program's buffers into the workspace's arena by the number of rows of each kind, those of `kept` so that
  // they stay; `extra_floats` more of them begin at the pointer returned.
  float* Place(const Program& program, std::span<const int64_t> rows, std::span<const int> kept, int64_t extra_floats,
               StepContext* c, Workspace::State& state) const;

  ModelConfig config_;
  ParameterList list_;
  Program program_, vision_;                   // the decoder; towers and projector
  std::vector<PackedMatrix> matrices_;         // by parameter; empty for vectors
  std::vector<std::vector<LowRank>> adapter_;  // by parameter; empty without an adapter
  std::vector<std::vector<float>> vectors_;    // by parameter; the position table too
  RopeTable rope_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string tokenizer_problem_;
};

}  // namespace kinetok
