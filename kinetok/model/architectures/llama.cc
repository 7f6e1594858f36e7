// Llama 2 (Touvron et al. 2023) as Hugging Face's LlamaForCausalLM stores it.
#include "kinetok/base/error.h"
#include "kinetok/model/architecture.h"
#include "kinetok/model/config_fields.h"

namespace kinetok {
namespace {

// RoPE's base and scaling, from the older flat fields or the newer rope_parameters. Kinds that depend on more than the
// configuration are refused by name.
void ParseRope(const JsonObject& o, ModelConfig* c) {
  c->rope_theta = Positive(o, "rope_theta", 10000.0);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!o.Has(key)) continue;
    const JsonObject rope = o.Object(key);
    const std::string type = rope.String("rope_type", rope.String("type", "default"));
    c->rope_theta = Positive(rope, "rope_theta", c->rope_theta);
    RopeScaling& s = c->rope_scaling;
    if (type == "default") continue;
    if (type != "linear" && type != "llama3") {
      Fail("{}: rope type \"{}\" is not supported; expected \"default\", \"linear\" or \"llama3\"", rope.source(),
           type);
    }
    s.factor = rope.Number("factor");
    if (s.factor < 1) Fail("{}: field \"factor\" is {}, expected a number from 1", rope.source(), s.factor);
    s.kind = RopeScaling::Kind::kLinear;
    if (type == "linear") continue;
    s.kind = RopeScaling::Kind::kLlama3;
    s.low_freq_factor = rope.Number("low_freq_factor");
    s.high_freq_factor = rope.Number("high_freq_factor");
    if (!(s.low_freq_factor > 0 && s.high_freq_factor > s.low_freq_factor)) {
      Fail("{}: field \"high_freq_factor\" is {}, expected more than low_freq_factor ({}), which is above 0",
           rope.source(), s.high_freq_factor, s.low_freq_factor);
    }
    s.original_max_position_embeddings = rope.Int("original_max_position_embeddings", 1, kMaxContext);
  }
}

}  // namespace

ModelConfig ParseLlama(const JsonObject& o, bool defaults) {
  const auto size = [&](std::string_view key, int64_t high, int64_t of_7b) {
    return defaults ? o.Int(key, 1, high, of_7b) : o.Int(key, 1, high);
  };
  ModelConfig c;
  c.model_type = "llama";
  c.vocab_size = size("vocab_size", kMaxVocab, 32000);
  c.hidden_size = size("hidden_size", kMaxWidth, 4096);
  c.num_hidden_layers = size("num_hidden_layers", kMaxLayers, 32);
  c.num_attention_heads = size("num_attention_heads", kMaxHeads, 32);
  c.num_key_value_heads = o.Int("num_key_value_heads", 1, kMaxHeads, c.num_attention_heads);
  if (!o.Has("head_dim") && c.hidden_size % c.num_attention_heads != 0) {
    Fail("{}: field \"hidden_size\" is {}, expected a multiple of num_attention_heads ({})", o.source(), c.hidden_size,
         c.num_attention_heads);
  }
  c.head_dim = o.Int("head_dim", 1, 256, c.hidden_size / c.num_attention_heads);
  c.intermediate_size = size("intermediate_size", kMaxWidth, 11008);
  c.max_position_embeddings = o.Int("max_position_embeddings", 1, kMaxContext, 2048);
  c.norm = Norm::kRms;
  c.norm_bias = false;
  c.norm_eps = Positive(o, "rms_norm_eps", 1e-6);
  c.position = Position::kRope;
  ParseRope(o, &c);
  c.gated_mlp = true;
  c.activation = ParseActivation(o, "hidden_act", "silu");
  if (c.activation != Activation::kSilu) {
    Fail("{}: field \"hidden_act\" is \"{}\", which is not supported here; expected silu", o.source(),
         o.String("hidden_act"));
  }
  c.attention_bias = c.attention_out_bias = o.Bool("attention_bias", false);
  c.mlp_bias = o.Bool("mlp_bias", false);
  c.tie_word_embeddings = o.Bool("tie_word_embeddings", false);
  c.attn_pdrop = Probability(o, "attention_dropout", 0.0);
  // Published Llama configurations have neither; ours say what a run was trained with.
  c.embd_pdrop = Probability(o, "embd_pdrop", 0.0);
  c.resid_pdrop = Probability(o, "resid_pdrop", 0.0);
  return c;
}

void WriteLlama(const ModelConfig& c, OrderedJson& j) {
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
  const RopeScaling& s = c.rope_scaling;
  if (s.kind != RopeScaling::Kind::kNone) {
    OrderedJson& rope = j["rope_scaling"];
    rope["rope_type"] = s.kind == RopeScaling::Kind::kLinear ? "linear" : "llama3";
    rope["factor"] = s.factor;
    if (s.kind == RopeScaling::Kind::kLlama3) {
      rope["low_freq_factor"] = s.low_freq_factor;
      rope["high_freq_factor"] = s.high_freq_factor;
      rope["original_max_position_embeddings"] = s.original_max_position_embeddings;
    }
  }
  j["attention_bias"] = c.attention_bias;
  j["mlp_bias"] = c.mlp_bias;
  j["attention_dropout"] = c.attn_pdrop;
  if (c.embd_pdrop > 0) j["embd_pdrop"] = c.embd_pdrop;
  if (c.resid_pdrop > 0) j["resid_pdrop"] = c.resid_pdrop;
}

void AddLlamaTensors(const ModelConfig& c, const std::string& prefix, TensorTable& t) {
  const ParameterList& list = t.list();
  const int64_t q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
  t.Add(prefix + "model.embed_tokens.weight", list.embedding);
  for (size_t l = 0; l < list.layers.size(); ++l) {
    const LayerParameters& p = list.layers[l];
    const std::string at = fmt::format("{}model.layers.{}.", prefix, l);
    const auto slice = [&](const std::string& name, int weight, int bias, int64_t first, int64_t rows) {
      t.Slice(at + name + ".weight", weight, first, rows);
      if (bias >= 0) t.Slice(at + name + ".bias", bias, first, rows);
    };
    t.Add(at + "input_layernorm.weight", p.norm1_weight);
    slice("self_attn.q_proj", p.qkv_weight, p.qkv_bias, 0, q);
    slice("self_attn.k_proj", p.qkv_weight, p.qkv_bias, q, kv);
    slice("self_attn.v_proj", p.qkv_weight, p.qkv_bias, q + kv, kv);
    slice("self_attn.o_proj", p.out_weight, p.out_bias, 0, c.hidden_size);
    t.Add(at + "post_attention_layernorm.weight", p.norm2_weight);
    slice("mlp.gate_proj", p.up_weight, p.up_bias, 0, c.intermediate_size);
    slice("mlp.up_proj", p.up_weight, p.up_bias, c.intermediate_size, c.intermediate_size);
    slice("mlp.down_proj", p.down_weight, p.down_bias, 0, c.hidden_size);
  }
  t.Add(prefix + "model.norm.weight", list.final_norm_weight);
  if (!c.tie_word_embeddings) t.Add(prefix + "lm_head.weight", list.head);
}

namespace {

ModelConfig Parse(const JsonObject& o) {
  return ParseLlama(o, false);
}
void Tensors(const ModelConfig& c, TensorTable& t) {
  AddLlamaTensors(c, "", t);
}

constexpr std::string_view kUnprefixed[] = {"lm_head."}, kIgnorable[] = {"rotary_emb.inv_freq"};
constexpr std::pair<std::string_view, std::string_view> kCopies[] = {{"lm_head.weight", "model.embed_tokens.weight"}};

}  // namespace

const Architecture kLlama = {"llama",     Parse,      WriteLlama, Tensors,       "model.",
                             kUnprefixed, kIgnorable, kCopies,    kNormSpellings};

}  // namespace kinetok
