// GPT-3's shape (Brown et al. 2020: layers of full and of banded attention by turns) as the public checkpoints have it:
// EleutherAI's GPT-Neo, Hugging Face's GPTNeoForCausalLM. Scores are not scaled; q, k and v have no bias.
#include "kinetok/base/error.h"
#include "kinetok/model/architecture.h"
#include "kinetok/model/config_fields.h"

namespace kinetok {
namespace {

void AddMask(const JsonObject& o, std::string_view key, const Json& kind, int64_t window, std::vector<Mask>* masks) {
  if (kind == "global") {
    masks->push_back(Mask::Causal());
  } else if (kind == "local") {
    masks->push_back(Mask::Banded(window));
  } else {
    Fail("{}: field \"{}\" holds {}, expected \"global\" or \"local\"", o.source(), key, Shorten(kind));
  }
}

// One mask a layer, from "attention_layers" (["global", "local", ...]), else from "attention_types"
// ([[["global", "local"], 6]]: the pattern six times).
std::vector<Mask> ParseMasks(const JsonObject& o, int64_t layers) {
  const int64_t window = o.Int("window_size", 1, kMaxContext, 256);
  std::vector<Mask> masks;
  const std::string_view key = o.Has("attention_layers") ? "attention_layers" : "attention_types";
  if (key == "attention_layers") {
    for (const Json& kind : o.Array(key)) AddMask(o, key, kind, window, &masks);
  } else if (!o.Has(key)) {
    for (int64_t l = 0; l < layers; ++l) masks.push_back(l % 2 == 0 ? Mask::Causal() : Mask::Banded(window));
  } else {
    for (const Json& group : o.Array(key)) {
      if (!group.is_array() || group.size() != 2 || !group[0].is_array() || !group[1].is_number_integer() ||
          group[1].get<int64_t>() < 0 || group[1].get<int64_t>() > kMaxLayers) {
        Fail("{}: field \"{}\" holds {}, expected [[kinds of layers], repetitions]", o.source(), key, Shorten(group));
      }
      for (int64_t n = group[1].get<int64_t>(); n > 0; --n) {
        for (const Json& kind : group[0]) AddMask(o, key, kind, window, &masks);
        if (static_cast<int64_t>(masks.size()) > kMaxLayers) break;
      }
    }
  }
  if (static_cast<int64_t>(masks.size()) != layers) {
    Fail("{}: field \"{}\" describes {} layers, expected {} (num_layers)", o.source(), key, masks.size(), layers);
  }
  // The shortest pattern that repeats.
  for (size_t period = 1; period < masks.size(); ++period) {
    bool repeats = true;
    for (size_t i = period; i < masks.size(); ++i) repeats = repeats && masks[i] == masks[i - period];
    if (repeats) masks.resize(period);
  }
  return masks;
}

ModelConfig Parse(const JsonObject& o) {
  ModelConfig c;
  c.model_type = "gpt_neo";
  ParseSizes(o, {"hidden_size", "num_layers", "num_heads"}, &c);
  c.intermediate_size = o.Int("intermediate_size", 1, kMaxWidth, 4 * c.hidden_size);
  c.max_position_embeddings = o.Int("max_position_embeddings", 1, kMaxContext);
  c.norm_eps = Positive(o, "layer_norm_epsilon", 1e-5);
  c.activation = ParseActivation(o, "activation_function", "gelu_new");
  c.scale_attention = false;
  c.attention_bias = false;
  c.masks = ParseMasks(o, c.num_hidden_layers);
  c.tie_word_embeddings = o.Bool("tie_word_embeddings", true);
  c.embd_pdrop = Probability(o, "embed_dropout", 0.0);
  c.attn_pdrop = Probability(o, "attention_dropout", 0.0);
  c.resid_pdrop = Probability(o, "resid_dropout", 0.0);
  return c;
}

void Write(const ModelConfig& c, OrderedJson& j) {
  OrderedJson kinds = OrderedJson::array();
  int64_t window = 256;
  for (int64_t l = 0; l < c.num_hidden_layers; ++l) {
    const Mask mask = c.LayerMask(l);
    kinds.push_back(mask.kind == Mask::Kind::kBanded ? "local" : "global");
    if (mask.kind == Mask::Kind::kBanded) window = mask.window;
  }
  j["architectures"] = {"GPTNeoForCausalLM"};
  j["model_type"] = "gpt_neo";
  j["vocab_size"] = c.vocab_size;
  j["hidden_size"] = c.hidden_size;
  j["num_layers"] = c.num_hidden_layers;
  j["num_heads"] = c.num_attention_heads;
  j["intermediate_size"] = c.intermediate_size;
  j["max_position_embeddings"] = c.max_position_embeddings;
  j["activation_function"] = NameOfActivation(c.activation);
  j["layer_norm_epsilon"] = c.norm_eps;
  j["attention_types"] = {{kinds, 1}};
  j["attention_layers"] = kinds;
  j["window_size"] = window;
  j["embed_dropout"] = c.embd_pdrop;
  j["attention_dropout"] = c.attn_pdrop;
  j["resid_dropout"] = c.resid_pdrop;
}

void Tensors(const ModelConfig& c, TensorTable& t) {
  const ParameterList& list = t.list();
  const int64_t width = c.num_attention_heads * c.head_dim;
  t.Add("transformer.wte.weight", list.embedding);
  t.Add("transformer.wpe.weight", list.position);
  for (size_t l = 0; l < list.layers.size(); ++l) {
    const LayerParameters& p = list.layers[l];
    const std::string at = fmt::format("transformer.h.{}.", l), attention = at + "attn.attention.";
    t.Add(at + "ln_1.weight", p.norm1_weight);
    t.Add(at + "ln_1.bias", p.norm1_bias);
    t.Slice(attention + "q_proj.weight", p.qkv_weight, 0, width);
    t.Slice(attention + "k_proj.weight", p.qkv_weight, width, width);
    t.Slice(attention + "v_proj.weight", p.qkv_weight, 2 * width, width);
    t.Add(attention + "out_proj.weight", p.out_weight);
    t.Add(attention + "out_proj.bias", p.out_bias);
    t.Add(at + "ln_2.weight", p.norm2_weight);
    t.Add(at + "ln_2.bias", p.norm2_bias);
    t.Add(at + "mlp.c_fc.weight", p.up_weight);
    t.Add(at + "mlp.c_fc.bias", p.up_bias);
    t.Add(at + "mlp.c_proj.weight", p.down_weight);
    t.Add(at + "mlp.c_proj.bias", p.down_bias);
  }
  t.Add("transformer.ln_f.weight", list.final_norm_weight);
  t.Add("transformer.ln_f.bias", list.final_norm_bias);
  if (!c.tie_word_embeddings) t.Add("lm_head.weight", list.head);
}

constexpr std::string_view kUnprefixed[] = {"lm_head."},
                           kIgnorable[] = {".attn.attention.bias", ".attn.attention.masked_bias"};
constexpr std::pair<std::string_view, std::string_view> kCopies[] = {{"lm_head.weight", "transformer.wte.weight"}};

}  // namespace

const Architecture kGptNeo = {"gpt_neo",   Parse,      Write,   Tensors,       "transformer.",
                              kUnprefixed, kIgnorable, kCopies, kNormSpellings};

}  // namespace kinetok
