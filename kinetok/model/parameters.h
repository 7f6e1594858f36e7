// The parameters of a model in our own layout, and where each published tensor goes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/model/config.h"

namespace kinetok {

// A matrix is [rows = outputs, columns = inputs] whatever the published layout; a vector has columns == 0 and `rows`
// elements. Projections that read the same input are fused: q, k, v in one matrix, gate and up in one.
struct Parameter {
  enum class Init : uint8_t { kNormal, kZero, kOne, kGrid };
  std::string name;  // "layers.3.qkv.weight"
  int64_t rows = 0, columns = 0;
  Init init = Init::kZero;
  double std = 0;      // of Init::kNormal
  int64_t grid = 0;    // of Init::kGrid: the last grid * grid rows are the places of a square, the others zero
  bool table = false;  // a small matrix of which rows are read: never packed
  int64_t offset = 0;  // of the first element, in a flat array of all parameters
  bool is_matrix() const { return columns > 0; }
  int64_t elements() const { return columns > 0 ? rows * columns : rows; }
};

struct LayerParameters {
  int norm1_weight = -1, norm1_bias = -1, qkv_weight = -1, qkv_bias = -1, out_weight = -1, out_bias = -1;
  int norm2_weight = -1, norm2_bias = -1, up_weight = -1, up_bias = -1, down_weight = -1, down_bias = -1;
  int scale1 = -1, scale2 = -1;  // LayerScale of the two halves
};

// Of one stack of layers; -1 where the configuration has none.
struct StackParameters {
  std::vector<LayerParameters> layers;
  int embedding = -1, position = -1, token_type = -1, embedding_norm_weight = -1, embedding_norm_bias = -1;
  int patch_weight = -1, patch_bias = -1;  // of a vision tower, whose `embedding` holds the prefix tokens
  int final_norm_weight = -1, final_norm_bias = -1;
};

// All parameters, in the order of the forward pass: towers and projector, then the decoder, which is the list itself.
struct ParameterList : StackParameters {
  explicit ParameterList(const ModelConfig& config);

  struct Linear {
    int weight = -1, bias = -1;
  };
  std::vector<Parameter> all;
  std::vector<StackParameters> towers;
  std::vector<Linear> projector;
  int transform_weight = -1, transform_bias = -1, transform_norm_weight = -1, transform_norm_bias = -1;  // kMaskedLm
  int head = -1;           // == embedding when tied; -1 with Head::kNone
  int head_bias = -1;      // kMaskedLm
  int64_t elements = 0;    // of the flat array: every parameter starts at a multiple of 16
  int64_t parameters = 0;  // without that padding: the model's size as people quote it
};

// Fills a flat array [list.elements] for training: normal(0, std) drawn from (seed, parameter, element) alone, the
// residual projections scaled by 1 / sqrt(2 layers) as in GPT-2, ones and zeros elsewhere.
void InitializeParameters(const ParameterList& list, uint64_t seed, std::span<float> flat);
// One parameter, elements [first, first + out.size()): what `init` streams to disk.
void InitializeParameter(const ParameterList& list, int parameter, uint64_t seed, int64_t first, std::span<float> out);

// A published tensor: rows [first_row, first_row + rows) of a parameter.
struct PublishedTensor {
  std::string name;
  int parameter = -1;
  int64_t first_row = 0, rows = 0;
  bool transposed = false;   // stored [inputs, outputs], as GPT-2's Conv1D does
  bool zero_filled = false;  // the layout demands it, the model lacks it (a bias-free GPT-2): written as zeros
  bool unread = false;       // zero_filled where we write it, anything where others do: it changes nothing
  std::vector<int64_t> shape;
  // > 0: of each head of so many rows the halves are stored interleaved, 0, d/2, 1, d/2 + 1, ... (GGUF).
  int64_t rotary_dim = 0;
};

// Every tensor of the published layout of config.model_type, in file order. A tied head is not among them.
std::vector<PublishedTensor> PublishedTensors(const ModelConfig& config, const ParameterList& list);

// Tensors that published files carry and no model reads ("h.0.attn.bias" masks, rotary tables, ...).
bool IsIgnorableTensor(const ModelConfig& config, std::string_view name);
// The canonical name of the tensor that a file may store once more as `name`, like a tied head; empty when there is
// none.
std::string_view OriginalOfCopy(const ModelConfig& config, std::string_view name);
// The name with its optional prefix normalised ("h.0.ln_1.weight" -> "transformer.h.0.ln_1.weight").
std::string CanonicalTensorName(const ModelConfig& config, std::string_view name);

}  // namespace kinetok
