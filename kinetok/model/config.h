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
enum class NormPlace : uint8_t { kBefore, kAfter };  // of each half of a layer, or of the sum that follows it
enum class Position : uint8_t { kLearned, kRope };
enum class Head : uint8_t {
  kNextToken,  // logits = head(x)
  kMaskedLm,   // logits = head(norm(act(transform(x)))) + bias
  kNone,       // hidden states only
};

// Changes of RoPE's frequencies for contexts longer than those trained on; f is a pair's frequency.
struct RopeScaling {
  enum class Kind : uint8_t {
    kNone,
    kLinear,  // f / factor (Chen et al. 2023, arXiv 2306.15595)
    kLlama3,  // slow pairs divided by factor, fast ones kept, those between blended (Llama 3.1's modeling code)
  };
  Kind kind = Kind::kNone;
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_max_position_embeddings = 0;
  bool operator==(const RopeScaling&) const = default;
};

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

// What makes a stack a vision tower: its rows are the patches of an image, behind a class token and registers
// (Dosovitskiy et al. 2020, arXiv 2010.11929; Darcet et al. 2023, arXiv 2309.16588).
struct PatchInput {
  std::string timm_id;                  // "vit_so400m_patch14_siglip_224"
  int64_t image_size = 0;               // pixels of a side
  int64_t patch_size = 0;               // divides image_size
  bool class_token = false;             // one learned row
  int64_t reg_tokens = 0;               // and so many registers
  bool position_covers_prefix = false;  // the position table has rows for these too
  int64_t unread_layers = 0;            // stored behind the layer that gives the features, never run
  bool attn_pool = false;               // the same of a pooling head
  int64_t PrefixTokens() const { return (class_token ? 1 : 0) + reg_tokens; }
  int64_t Patches() const { return (image_size / patch_size) * (image_size / patch_size); }
  int64_t PatchWidth() const { return 3 * patch_size * patch_size; }
  bool operator==(const PatchInput&) const = default;
};

struct ModelConfig {
  std::string model_type = "gpt2";  // names the published layout (architecture.h)
  int64_t vocab_size = 0;           // of a vision tower: its prefix tokens
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;  // divides num_attention_heads
  int64_t head_dim = 0;
  int64_t intermediate_size = 0;
  int64_t max_position_embeddings = 0;  // the context

  Norm norm = Norm::kLayer;
  NormPlace norm_place = NormPlace::kBefore;
  bool embedding_norm = false;  // the embeddings' sum is normalised
  bool final_norm = true;       // the last layer's output is
  double norm_eps = 1e-5;
  bool norm_bias = true;
  Position position = Position::kLearned;
  int64_t type_vocab_size = 0;  // kinds of segments, of which every row is the first here; 0: no such embedding
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  bool gated_mlp = false;  // down(act(gate) * up) instead of down(act(up)); act is then SiLU
  Activation activation = Activation::kGeluTanh;
  bool attention_bias = true;  // of the q, k and v projections
  bool attention_out_bias = true;
  bool mlp_bias = true;
  bool scale_attention = true;  // scores times 1 / sqrt(head_dim)
  bool layer_scale = false;     // each half's output times a learned vector (Touvron et al. 2021, arXiv 2103.17239)
  Head head = Head::kNextToken;
  bool tie_word_embeddings = true;
  std::vector<Mask> masks = {Mask::Causal()};  // of layer i: masks[i % size]

  std::optional<PatchInput> patches;  // of a vision tower alone
  // What the decoder sees: the towers' features of a patch side by side, through a projector (linear layers of these
  // output widths, the last one hidden_size, with GELU between), one row a patch. Empty: texts alone.
  std::vector<ModelConfig> towers;
  std::vector<int64_t> projector;

  Json carried = Json::object();  // fields of config.json that configure no stack, kept and written back (norm_stats)

  double embd_pdrop = 0, attn_pdrop = 0, resid_pdrop = 0;  // dropout, in training only
  double initializer_range = 0.02;

  std::optional<int32_t> bos_token_id;
  std::vector<int32_t> eos_token_ids;

  // Throws Error naming the field (as `source: field`) when the numbers do not fit together or exceed sane limits.
  void Check(std::string_view source) const;
  Mask LayerMask(int64_t layer) const { return masks[layer % static_cast<int64_t>(masks.size())]; }
  int64_t ImagePatches() const { return towers.empty() ? 0 : towers[0].patches->Patches(); }  // rows of an image
  int64_t QkvRows() const { return (num_attention_heads + 2 * num_key_value_heads) * head_dim; }
  // Whether every position sees only what precedes it: such a model continues texts, an encoder needs the whole text.
  bool IsCausal() const;
  bool operator==(const ModelConfig&) const = default;
};

// Reads the published config.json of the architectures this build knows. Required fields, ranges and options that
// change the result but are not supported are errors that name `source` and the field.
ModelConfig ParseModelConfig(const Json& json, std::string_view source);
ModelConfig LoadModelConfig(const std::filesystem::path& file);

// Throws Error, beginning with `purpose` ("generate"), when the model is an encoder or has no head.
void RequireNextToken(const ModelConfig& config, std::string_view purpose);

// The config.json that Hugging Face transformers reads, `dtype` being that of the stored weights ("float32", ...).
OrderedJson ModelConfigToJson(const ModelConfig& config, std::string_view dtype);

}  // namespace kinetok
