// A model is data: one configurable transformer block, of which every architecture is a set of fields.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/json.h"
#include "kinetok/kernels/activation.h"

namespace kinetok {

enum class Norm : uint8_t { kLayer, kRms };
enum class Position : uint8_t { kLearned, kRope };

// Which keys a query sees; position p of a sequence of n.
struct Mask {
  enum class Kind : uint8_t { kCausal, kBanded, kFull };
  Kind kind = Kind::kCausal;
  int64_t window = 0;  // kBanded: p - window < key <= p
  static Mask Causal() { return {}; }
  static Mask Banded(int64_t window) { return {Kind::kBanded, window}; }
  static Mask Full() { return {Kind::kFull, 0}; }
  bool operator==(const Mask&) const = default;
};

struct ModelConfig {
  std::string model_type = "gpt2";  // "gpt2" or "llama": names the published layout (weight_names.h)
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;  // divides num_attention_heads
  int64_t head_dim = 0;
  int64_t intermediate_size = 0;
  int64_t max_position_embeddings = 0;  // the context

  Norm norm = Norm::kLayer;
  double norm_eps = 1e-5;
  bool norm_bias = true;
  Position position = Position::kLearned;
  double rope_theta = 10000;
  bool gated_mlp = false;  // down(act(gate) * up) instead of down(act(up)); act is then SiLU
  Activation activation = Activation::kGeluTanh;
  bool attention_bias = true;  // of the q, k, v and output projections
  bool mlp_bias = true;
  bool scale_attention = true;  // scores times 1 / sqrt(head_dim)
  bool tie_word_embeddings = true;
  std::vector<Mask> masks = {Mask::Causal()};  // of layer i: masks[i % size]

  double embd_pdrop = 0, attn_pdrop = 0, resid_pdrop = 0;  // dropout, in training only
  double initializer_range = 0.02;

  std::optional<int32_t> bos_token_id;
  std::vector<int32_t> eos_token_ids;

  // Throws Error naming the field (as `source: field`) when the numbers do not fit together or exceed sane limits.
  void Check(std::string_view source) const;
  Mask LayerMask(int64_t layer) const { return masks[layer % static_cast<int64_t>(masks.size())]; }
  int64_t QkvRows() const { return (num_attention_heads + 2 * num_key_value_heads) * head_dim; }
  bool operator==(const ModelConfig&) const = default;
};

// Reads the published config.json of the architectures this build knows. Required fields, ranges and options that
// change the result but are not supported are errors that name `source` and the field.
ModelConfig ParseModelConfig(const Json& json, std::string_view source);
ModelConfig LoadModelConfig(const std::filesystem::path& file);

// The config.json that Hugging Face transformers reads, `dtype` being that of the stored weights ("float32", ...).
OrderedJson ModelConfigToJson(const ModelConfig& config, std::string_view dtype);

}  // namespace kinetok
