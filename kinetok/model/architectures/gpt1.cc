// GPT-1 (Radford et al. 2018) as Hugging Face's OpenAIGPTLMHeadModel stores it: norms after the sums, none at the end.
#include "kinetok/base/error.h"
#include "kinetok/model/architecture.h"
#include "kinetok/model/config_fields.h"

namespace kinetok {
namespace {

// What this format calls "gelu" is the approximation with tanh.
constexpr ActivationName kActivations[] = {
    {"gelu", Activation::kGeluTanh}, {"swish", Activation::kSilu}, {"silu", Activation::kSilu}};

ModelConfig Parse(const JsonObject& o) {
  ModelConfig c;
  c.model_type = "openai-gpt";
  ParseSizes(o, {"n_embd", "n_layer", "n_head"}, &c);
  c.intermediate_size = 4 * c.hidden_size;
  c.max_position_embeddings = o.Int("n_positions", 1, kMaxContext);
  c.norm_place = NormPlace::kAfter;
  c.final_norm = false;
  c.norm_eps = Positive(o, "layer_norm_epsilon", 1e-5);
  c.activation = ParseActivation(o, "afn", "gelu", kActivations);
  c.tie_word_embeddings = o.Bool("tie_word_embeddings", true);
  c.embd_pdrop = Probability(o, "embd_pdrop", 0.1);
  c.attn_pdrop = Probability(o, "attn_pdrop", 0.1);
  c.resid_pdrop = Probability(o, "resid_pdrop", 0.1);
  return c;
}

void Write(const ModelConfig& c, OrderedJson& j) {
  j["architectures"] = {"OpenAIGPTLMHeadModel"};
  j["model_type"] = "openai-gpt";
  j["vocab_size"] = c.vocab_size;
  j["n_embd"] = c.hidden_size;
  j["n_layer"] = c.num_hidden_layers;
  j["n_head"] = c.num_attention_heads;
  j["n_positions"] = c.max_position_embeddings;
  j["n_ctx"] = c.max_position_embeddings;
  j["afn"] = NameOfActivation(c.activation, kActivations);
  j["layer_norm_epsilon"] = c.norm_eps;
  j["embd_pdrop"] = c.embd_pdrop;
  j["attn_pdrop"] = c.attn_pdrop;
  j["resid_pdrop"] = c.resid_pdrop;
}

void Tensors(const ModelConfig& c, TensorTable& t) {
  const ParameterList& list = t.list();
  t.Add("transformer.tokens_embed.weight", list.embedding);
  t.Add("transformer.positions_embed.weight", list.position);
  for (size_t l = 0; l < list.layers.size(); ++l) {
    const LayerParameters& p = list.layers[l];
    const std::string at = fmt::format("transformer.h.{}.", l);
    t.Add(at + "attn.c_attn.weight", p.qkv_weight, true);
    t.Add(at + "attn.c_attn.bias", p.qkv_bias);
    t.Add(at + "attn.c_proj.weight", p.out_weight, true);
    t.Add(at + "attn.c_proj.bias", p.out_bias);
    t.Add(at + "ln_1.weight", p.norm1_weight);
    t.Add(at + "ln_1.bias", p.norm1_bias);
    t.Add(at + "mlp.c_fc.weight", p.up_weight, true);
    t.Add(at + "mlp.c_fc.bias", p.up_bias);
    t.Add(at + "mlp.c_proj.weight", p.down_weight, true);
    t.Add(at + "mlp.c_proj.bias", p.down_bias);
    t.Add(at + "ln_2.weight", p.norm2_weight);
    t.Add(at + "ln_2.bias", p.norm2_bias);
  }
  if (!c.tie_word_embeddings) t.Add("lm_head.weight", list.head);
}

constexpr std::string_view kUnprefixed[] = {"lm_head."},
                           kIgnorable[] = {".attn.bias", "transformer.position_ids", "transformer.positions_ids"};
constexpr std::pair<std::string_view, std::string_view> kCopies[] = {
    {"lm_head.weight", "transformer.tokens_embed.weight"}};

}  // namespace

const Architecture kGpt1 = {"openai-gpt", Parse,      Write,   Tensors,       "transformer.",
                            kUnprefixed,  kIgnorable, kCopies, kNormSpellings};

}  // namespace kinetok
