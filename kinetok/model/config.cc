#include "kinetok/model/config.h"

#include <cmath>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/kernels/attention.h"

namespace kinetok {
namespace {

constexpr int64_t kMaxVocab = 1 << 24, kMaxWidth = 1 << 20, kMaxLayers = 4096, kMaxContext = 1 << 24, kMaxHeads = 4096;

Activation ParseActivation(const JsonObject& o, std::string_view key, std::string fallback) {
  const std::string name = o.String(key, std::move(fallback));
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") return Activation::kGeluTanh;
  if (name == "gelu") return Activation::kGeluErf;
  if (name == "silu" || name == "swish") return Activation::kSilu;
  Fail("{}: field \"{}\" is \"{}\", which is not supported; expected gelu_new, gelu or silu", o.source(), key, name);
}

// A field that would change the result: only `supported` (or absence) is accepted.
void RequireBool(const JsonObject& o, std::string_view key, bool supported) {
  if (o.Bool(key, supported) != supported) {
    Fail("{}: field \"{}\" is {}, which is not supported; expected {}", o.source(), key, !supported, supported);
  }
}

void RefuseField(const JsonObject& o, std::string_view key) {
  if (o.Has(key)) Fail("{}: field \"{}\" is {}, which is not supported", o.source(), key, Shorten(o.json().at(key)));
}

double Probability(const JsonObject& o, std::string_view key, double fallback) {
  const double p = o.Number(key, fallback);
  if (!(p >= 0 && p < 1)) Fail("{}: field \"{}\" is {}, expected at least 0 and below 1", o.source(), key, p);
  return p;
}

double Positive(const JsonObject& o, std::string_view key, double fallback) {
  const double v = o.Number(key, fallback);
  if (!(v > 0)) Fail("{}: field \"{}\" is {}, expected a number above 0", o.source(), key, v);
  return v;
}

// Ids outside the vocabulary, which transformers writes for a GPT-2 of a small one, are never produced and left out.
void ParseSpecialTokens(const JsonObject& o, ModelConfig* c) {
  if (o.Has("bos_token_id")) {
    const int64_t bos = o.Int("bos_token_id", 0, kMaxVocab);
    if (bos < c->vocab_size) c->bos_token_id = static_cast<int32_t>(bos);
  }
  if (!o.Has("eos_token_id")) return;
  const Json& eos = o.json().at("eos_token_id");
  for (const Json& id : eos.is_array() ? eos : Json::array({eos})) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > kMaxVocab) {
      Fail("{}: field \"eos_token_id\" holds {}, expected token ids", o.source(), Shorten(id));
    }
    if (id.get<int64_t>() < c->vocab_size) c->eos_token_ids.push_back(id.get<int32_t>());
  }
}

// Fields of other families of models that change what a layer computes; ours are without.
void RefuseForeignFields(const JsonObject& o) {
  for (const char* key : {"sliding_window", "num_local_experts", "num_experts", "attn_logit_softcapping",
                          "final_logit_softcapping", "embedding_multiplier", "residual_multiplier",
                          "attention_multiplier", "logits_scaling", "logit_scale", "clip_qkv", "quantization_config"}) {
    if (o.Has(key)) RefuseField(o, key);
  }
  for (const char* key : {"use_qk_norm", "qk_layernorm", "parallel_attn", "use_parallel_residual"}) {
    RequireBool(o, key, false);
  }
  const double rotary = o.Number("partial_rotary_factor", 1.0);
  if (rotary != 1)
    Fail("{}: field \"partial_rotary_factor\" is {}, which is not supported; expected 1", o.source(), rotary);
}

ModelConfig ParseGpt2(const JsonObject& o) {
  ModelConfig c;
  c.model_type = "gpt2";
  c.vocab_size = o.Int("vocab_size", 1, kMaxVocab);
  c.hidden_size = o.Int("n_embd", 1, kMaxWidth);
  c.num_hidden_layers = o.Int("n_layer", 1, kMaxLayers);
  c.num_attention_heads = o.Int("n_head", 1, kMaxHeads);
  c.num_key_value_heads = c.num_attention_heads;
  if (c.hidden_size % c.num_attention_heads != 0) {
    Fail("{}: field \"n_embd\" is {}, expected a multiple of n_head ({})", o.source(), c.hidden_size,
         c.num_attention_heads);
  }
  c.head_dim = c.hidden_size / c.num_attention_heads;
  c.intermediate_size = o.Int("n_inner", 1, kMaxWidth, 4 * c.hidden_size);
  c.max_position_embeddings = o.Int("n_positions", 1, kMaxContext);
  c.norm_eps = Positive(o, "layer_norm_epsilon", 1e-5);
  c.activation = ParseActivation(o, "activation_function", "gelu_new");
  c.scale_attention = o.Bool("scale_attn_weights", true);
  RequireBool(o, "scale_attn_by_inverse_layer_idx", false);
  RequireBool(o, "add_cross_attention", false);
  c.tie_word_embeddings = o.Bool("tie_word_embeddings", true);
  c.embd_pdrop = Probability(o, "embd_pdrop", 0.1);
  c.attn_pdrop = Probability(o, "attn_pdrop", 0.1);
  c.resid_pdrop = Probability(o, "resid_pdrop", 0.1);
  const bool bias = o.Bool("kinetok_bias", true);  // false: the published biases are zeros and stay so
  c.norm_bias = c.attention_bias = c.mlp_bias = bias;
  return c;
}

// RoPE's base, from the older flat field or the newer rope_parameters; scaled variants are refused by name.
double ParseRope(const JsonObject& o) {
  double theta = Positive(o, "rope_theta", 10000.0);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!o.Has(key)) continue;
    const JsonObject rope = o.Object(key);
    const std::string type = rope.String("rope_type", rope.String("type", "default"));
    if (type != "default") Fail("{}: rope type \"{}\" is not supported; expected \"default\"", rope.source(), type);
    theta = Positive(rope, "rope_theta", theta);
  }
  return theta;
}

ModelConfig ParseLlama(const JsonObject& o) {
  ModelConfig c;
  c.model_type = "llama";
  c.vocab_size = o.Int("vocab_size", 1, kMaxVocab);
  c.hidden_size = o.Int("hidden_size", 1, kMaxWidth);
  c.num_hidden_layers = o.Int("num_hidden_layers", 1, kMaxLayers);
  c.num_attention_heads = o.Int("num_attention_heads", 1, kMaxHeads);
  c.num_key_value_heads = o.Int("num_key_value_heads", 1, kMaxHeads, c.num_attention_heads);
  if (!o.Has("head_dim") && c.hidden_size % c.num_attention_heads != 0) {
    Fail("{}: field \"hidden_size\" is {}, expected a multiple of num_attention_heads ({})", o.source(), c.hidden_size,
         c.num_attention_heads);
  }
  c.head_dim = o.Int("head_dim", 1, 256, c.hidden_size / c.num_attention_heads);
  c.intermediate_size = o.Int("intermediate_size", 1, kMaxWidth);
  c.max_position_embeddings = o.Int("max_position_embeddings", 1, kMaxContext, 2048);
  c.norm = Norm::kRms;
  c.norm_bias = false;
  c.norm_eps = Positive(o, "rms_norm_eps", 1e-6);
  c.position = Position::kRope;
  c.rope_theta = ParseRope(o);
  c.gated_mlp = true;
  c.activation = ParseActivation(o, "hidden_act", "silu");
  if (c.activation != Activation::kSilu) {
    Fail("{}: field \"hidden_act\" is \"{}\", which is not supported here; expected silu", o.source(),
         o.String("hidden_act"));
  }
  c.attention_bias = o.Bool("attention_bias", false);
  c.mlp_bias = o.Bool("mlp_bias", false);
  c.tie_word_embeddings = o.Bool("tie_word_embeddings", false);
  c.attn_pdrop = Probability(o, "attention_dropout", 0.0);
  // Published Llama configurations have neither; ours say what a run was trained with.
  c.embd_pdrop = Probability(o, "embd_pdrop", 0.0);
  c.resid_pdrop = Probability(o, "resid_pdrop", 0.0);
  return c;
}

}  // namespace

void ModelConfig::Check(std::string_view source) const {
  const auto within = [&](std::string_view field, int64_t value, int64_t high) {
    if (value < 1 || value > high) Fail("{}: {} is {}, expected 1 to {}", source, field, value, high);
  };
  within("vocab_size", vocab_size, kMaxVocab);
  within("hidden_size", hidden_size, kMaxWidth);
  within("num_hidden_layers", num_hidden_layers, kMaxLayers);
  within("num_attention_heads", num_attention_heads, kMaxHeads);
  within("num_key_value_heads", num_key_value_heads, num_attention_heads);
  within("head_dim", head_dim, 256);
  within("intermediate_size", intermediate_size, kMaxWidth);
  within("max_position_embeddings", max_position_embeddings, kMaxContext);
  if (num_attention_heads % num_key_value_heads != 0) {
    Fail("{}: num_attention_heads is {}, expected a multiple of num_key_value_heads ({})", source, num_attention_heads,
         num_key_value_heads);
  }
  if (model_type == "gpt2" && num_key_value_heads != num_attention_heads) {
    Fail("{}: num_key_value_heads is {}, expected {}, as many as heads: a gpt2 checkpoint cannot hold grouped ones",
         source, num_key_value_heads, num_attention_heads);
  }
  for (const auto& [field, p] :
       {std::pair{"embd_pdrop", embd_pdrop}, {"attn_pdrop", attn_pdrop}, {"resid_pdrop", resid_pdrop}}) {
    if (!(p >= 0 && p < 1)) Fail("{}: {} is {}, expected at least 0 and below 1 (dropout)", source, field, p);
  }
  if (attn_pdrop > 0 && (max_position_embeddings > kDropoutKeys || num_attention_heads > kDropoutHeads)) {
    Fail("{}: attn_pdrop is {}, expected 0 with more than {} positions or {} heads", source, attn_pdrop, kDropoutKeys,
         kDropoutHeads);
  }
  if (position == Position::kRope && head_dim % 2 != 0) {
    Fail("{}: head_dim is {}, expected an even number (rotary positions)", source, head_dim);
  }
}

ModelConfig ParseModelConfig(const Json& json, std::string_view source) {
  const JsonObject o(json, std::string(source));
  RefuseForeignFields(o);
  const std::string type = o.String("model_type");
  ModelConfig c;
  if (type == "gpt2") {
    c = ParseGpt2(o);
  } else if (type == "llama") {
    c = ParseLlama(o);
  } else {
    Fail("{}: field \"model_type\" is \"{}\", which is not supported; expected gpt2 or llama", source, type);
  }
  c.initializer_range = o.Number("initializer_range", 0.02);
  ParseSpecialTokens(o, &c);
  c.Check(source);
  return c;
}

ModelConfig LoadModelConfig(const std::filesystem::path& file) {
  return ParseModelConfig(ParseJson(ReadFile(file), file.string()), file.string());
}

OrderedJson ModelConfigToJson(const ModelConfig& c, std::string_view dtype) {
  OrderedJson j;
  if (c.model_type == "gpt2") {
    j["architectures"] = {"GPT2LMHeadModel"};
    j["model_type"] = "gpt2";
    j["vocab_size"] = c.vocab_size;
    j["n_embd"] = c.hidden_size;
    j["n_layer"] = c.num_hidden_layers;
    j["n_head"] = c.num_attention_heads;
    j["n_inner"] = c.intermediate_size;
    j["n_positions"] = c.max_position_embeddings;
    j["n_ctx"] = c.max_position_embeddings;
    j["activation_function"] = c.activation == Activation::kGeluErf ? "gelu" : "gelu_new";
    j["layer_norm_epsilon"] = c.norm_eps;
    j["scale_attn_weights"] = c.scale_attention;
    j["embd_pdrop"] = c.embd_pdrop;
    j["attn_pdrop"] = c.attn_pdrop;
    j["resid_pdrop"] = c.resid_pdrop;
    if (!c.attention_bias) j["kinetok_bias"] = false;
  } else {
    j["architectures"] = {"LlamaForCausalLM"};
    j["model_type"] = "llama";
    j["vocab_size"] = c.vocab_size;
    j["hidden_size"] = c.hidden_size;
    j["num_hidden_layers"] = c.num_hidden_layers;
    j["num_attention_heads"] = c.num_attention_heads;
    j["num_key_value_heads"] = c.num_key_value_heads;
    j["head_dim"] = c.head_dim;
    j["intermediate_size"] = c.intermediate_size;
    j["max_position_embeddings"] = c.max_position_embeddings;
    j["hidden_act"] = "silu";
    j["rms_norm_eps"] = c.norm_eps;
    j["rope_theta"] = c.rope_theta;
    j["attention_bias"] = c.attention_bias;
    j["mlp_bias"] = c.mlp_bias;
    j["attention_dropout"] = c.attn_pdrop;
    if (c.embd_pdrop > 0) j["embd_pdrop"] = c.embd_pdrop;
    if (c.resid_pdrop > 0) j["resid_pdrop"] = c.resid_pdrop;
  }
  j["initializer_range"] = c.initializer_range;
  j["tie_word_embeddings"] = c.tie_word_embeddings;
  // Written even when there are none: transformers would otherwise fill in GPT-2's 50256 or Llama's 1 and 2.
  j["bos_token_id"] = c.bos_token_id ? OrderedJson(*c.bos_token_id) : OrderedJson(nullptr);
  if (c.eos_token_ids.empty()) {
    j["eos_token_id"] = nullptr;
  } else if (c.eos_token_ids.size() == 1) {
    j["eos_token_id"] = c.eos_token_ids[0];
  } else {
    j["eos_token_id"] = c.eos_token_ids;
  }
  j["torch_dtype"] = dtype;
  j["use_cache"] = true;
  return j;
}

}  // namespace kinetok
