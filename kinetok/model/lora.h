// LoRA (Hu et al. 2021, arXiv 2106.09685): a model's matrices W stay, and W + scale B A is what runs, with A [rank,
// inputs] and B [outputs, rank] learned. Files are those of Hugging Face's PEFT (adapter_config.json,
// adapter_model.safetensors).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/kernels/matmul.h"
#include "kinetok/model/config.h"
#include "kinetok/model/parameters.h"

namespace kinetok {

struct LoraOptions {
  int64_t rank = 32;
  double alpha = 16;
  bool rank_stabilised = false;  // PEFT's use_rslora
  // Modules by their published names or ends of them ("q_proj", "mlp.fc1"); "all-linear": every linear layer, as PEFT
  // counts them (of OpenVLA also lm_head and the convolutions that embed patches; otherwise without the head).
  std::vector<std::string> targets = {"all-linear"};

  double scale() const;  // alpha / rank, or alpha / sqrt(rank)
  void Check() const;    // Throws Error that starts with the field's name
};

// A linear layer of the published model: rows [first_row, first_row + rows) of a parameter.
struct LoraModule {
  std::string name;    // "language_model.model.layers.0.self_attn.q_proj"
  int parameter = -1;  // -1: it is stored, and no result depends on it (a tower's last block)
  int64_t first_row = 0, rows = 0, columns = 0;
  std::vector<int64_t> a_shape, b_shape;  // as stored: of a convolution with four dimensions
  int64_t a = 0, b = 0;                   // offsets of [rank, columns] and [rows, rank] in a flat array
};

struct LoraList {
  // Throws Error naming the target that no module's name ends with.
  LoraList(const ModelConfig& config, const ParameterList& list, const LoraOptions& options);

  LoraOptions options;
  std::vector<LoraModule> modules;
  int64_t elements = 0;  // of the flat array, and of what is trained
};

// A: normal(0, 1 / rank), drawn from (seed, module, element) alone; B: zero. So W + scale B A = W at first.
void InitializeLora(const LoraList& lora, uint64_t seed, std::span<float> flat);

// weights += scale B A of every module.   adapter [lora.elements]   weights [list.elements]
void AddLora(Context& context, const LoraList& lora, std::span<const float> adapter, const ParameterList& list,
             std::span<float> weights);

// The same of one module; `matrix` is its whole parameter.
void AddModule(Context& context, const LoraList& lora, const LoraModule& module, std::span<const float> adapter,
               Rows<float> matrix);

// From d loss / d W to d loss / d A and d B, which are overwritten.   gradients [list.elements]   out [lora.elements]
void LoraGradients(Context& context, const LoraList& lora, std::span<const float> adapter, const ParameterList& list,
                   std::span<const float> gradients, std::span<float> out);

// A module beside rows [first_row, first_row + b.rows()) of a packed matrix: for running it unmerged.
struct LowRank {
  int64_t first_row = 0;
  PackedMatrix a, b;  // [rank, columns], [rows, rank]; b is scaled already
};
LowRank PackModule(Context& context, const LoraList& lora, const LoraModule& module, std::span<const float> adapter);

// y[:, the part's rows] += (x A^T) B^T of every part.   x [M, columns]   y [M, rows of the matrix]
void AddLowRank(Context& context, Rows<const float> x, std::span<const LowRank> parts, Rows<float> y);

struct Adapter {
  LoraList lora;
  std::vector<float> values;  // [lora.elements]
};

// Throws Error naming file, field or tensor for what is missing, does not fit the model, or is of a kind that is not
// supported: DoRA, biases, modules_to_save, ranks or alphas of their own (rank_pattern, alpha_pattern).
Adapter LoadAdapter(const std::filesystem::path& dir, const ModelConfig& config, const ParameterList& list);

// Writes the two files, each whole; `base` is what base_model_name_or_path says.
void SaveAdapter(const std::filesystem::path& dir, const LoraList& lora, std::span<const float> values,
                 const std::string& base);

}  // namespace kinetok
