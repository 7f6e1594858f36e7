// GPT-2 (Radford et al. 2019) as Hugging Face's GPT2LMHeadModel stores it.
#include "kinetok/base/error.h"
#include "kinetok/model/architecture.h"
#include "kinetok/model/config_fields.h"

namespace kinetok {
namespace {

ModelConfig Parse(const JsonObject& o) {
  ModelConfig c;
  c.model_type = "gpt2";
  ParseSizes(o, {"n_embd", "n_layer", "n_head"}, &c);
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
  c.norm_bias = c.attention_bias = c.attention_out_bias = c.mlp_bias = bias;
  return c;
}

void Write(const ModelConfig& c, OrderedJson& j) {
  j["architectures"] = {"GPT2LMHeadModel"};
  j["model_type"] = "gpt2";
  j["vocab_size"] = c.vocab_size;
  j["n_embd"] = c.hidden_size;
  j["n_layer"] = c.num_hidden_layers;
  j["n_head"] = c.num_attention_heads;
  j["n_inner"] = c.intermediate_size;
  j["n_positions"] = c.max_position_embeddings;
  j["n_ctx"] = c.max_position_embeddings;
  j["activation_function"] = NameOfActivation(c.activation);
  j["layer_norm_epsilon"] = c.norm_eps;
  j["scale_attn_weights"] = c.scale_attention;
  j["embd_pdrop"] = c.embd_pdrop;
  j["attn_pdrop"] = c.attn_pdrop;
  j["resid_pdrop"] = c.resid_pdrop;
  if (!c.attention_bias) j["kinetok_bias"] = false;
}

void Tensors(const ModelConfig& c, TensorTable& t) {
  const ParameterList& list = t.list();
  t.Add("transformer.wte.weight", list.embedding);
  t.Add("transformer.wpe.weight", list.position);
  for (size_t l = 0; l < list.layers.size(); ++l) {
    const LayerParameters& p = list.layers[l];
    const std::string at = fmt::format("transformer.h.{}.", l);
    t.Add(at + "ln_1.weight", p.norm1_weight);
    t.Bias(at + "ln_1.bias", p.norm1_bias, c.hidden_size);
    t.Add(at + "attn.c_attn.weight", p.qkv_weight, true);
    t.Bias(at + "attn.c_attn.bias", p.qkv_bias, c.QkvRows());
    t.Add(at + "attn.c_proj.weight", p.out_weight, true);
    t.Bias(at + "attn.c_proj.bias", p.out_bias, c.hidden_size);
    t.Add(at + "ln_2.weight", p.norm2_weight);
    t.Bias(at + "ln_2.bias", p.norm2_bias, c.hidden_size);
    t.Add(at + "mlp.c_fc.weight", p.up_weight, true);
    t.Bias(at + "mlp.c_fc.bias", p.up_bias, c.intermediate_size);
    t.Add(at + "mlp.c_proj.weight", p.down_weight, true);
    t.Bias(at + "mlp.c_proj.bias", p.down_bias, c.hidden_size);
  }
  t.Add("transformer.ln_f.weight", list.final_norm_weight);
  t.Bias("transformer.ln_f.bias", list.final_norm_bias, c.hidden_size);
  if (!c.tie_word_embeddings) t.Add("lm_head.weight", list.head);
}

constexpr std::string_view kUnprefixed[] = {"lm_head."}, kIgnorable[] = {".attn.bias", ".attn.masked_bias"};
constexpr std::pair<std::string_view, std::string_view> kCopies[] = {{"lm_head.weight", "transformer.wte.weight"}};

}  // namespace

const Architecture kGpt2 = {"gpt2",      Parse,      Write,   Tensors,       "transformer.",
                            kUnprefixed, kIgnorable, kCopies, kNormSpellings};

}  // namespace kinetok
