// BERT (Devlin et al. 2019) as Hugging Face's BertForMaskedLM stores it, and BertModel, which has no head: every
// position sees every other, so it fills gaps and describes sentences but does not continue them.
#include <algorithm>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/model/architecture.h"
#include "kinetok/model/config_fields.h"

namespace kinetok {
namespace {

constexpr ActivationName kActivations[] = {{"gelu", Activation::kGeluErf},
                                           {"gelu_new", Activation::kGeluTanh},
                                           {"gelu_pytorch_tanh", Activation::kGeluTanh},
                                           {"silu", Activation::kSilu},
                                           {"swish", Activation::kSilu}};

// Whether the class that wrote the file has the head that predicts masked tokens.
bool ParseHasHead(const JsonObject& o) {
  if (!o.Has("architectures")) return true;
  const Json& names = o.Array("architectures");
  const auto is = [&names](std::string name) {
    return std::find(names.begin(), names.end(), Json(std::move(name))) != names.end();
  };
  if (is("BertForMaskedLM") || is("BertForPreTraining")) return true;
  if (is("BertModel")) return false;
  Fail(
      "{}: field \"architectures\" is {}, which is not supported; expected BertForMaskedLM, BertForPreTraining or "
      "BertModel",
      o.source(), Shorten(names));
}

ModelConfig Parse(const JsonObject& o) {
  ModelConfig c;
  c.model_type = "bert";
  ParseSizes(o, {"hidden_size", "num_hidden_layers", "num_attention_heads"}, &c);
  c.intermediate_size = o.Int("intermediate_size", 1, kMaxWidth);
  c.max_position_embeddings = o.Int("max_position_embeddings", 1, kMaxContext);
  c.type_vocab_size = o.Int("type_vocab_size", 1, kMaxTokenTypes, 2);
  c.masks = {Mask::Full()};
  c.norm_place = NormPlace::kAfter;
  c.embedding_norm = true;
  c.final_norm = false;
  c.norm_eps = Positive(o, "layer_norm_eps", 1e-12);
  c.activation = ParseActivation(o, "hidden_act", "gelu", kActivations);
  c.tie_word_embeddings = o.Bool("tie_word_embeddings", true);
  c.embd_pdrop = c.resid_pdrop = Probability(o, "hidden_dropout_prob", 0.1);
  c.attn_pdrop = Probability(o, "attention_probs_dropout_prob", 0.1);
  RequireBool(o, "is_decoder", false);
  RequireBool(o, "add_cross_attention", false);
  const std::string positions = o.String("position_embedding_type", "absolute");
  if (positions != "absolute") {
    Fail("{}: field \"position_embedding_type\" is \"{}\", which is not supported; expected \"absolute\"", o.source(),
         positions);
  }
  c.head = ParseHasHead(o) ? Head::kMaskedLm : Head::kNone;
  if (c.head == Head::kNone) c.tie_word_embeddings = true;  // nothing to untie
  return c;
}

void Write(const ModelConfig& c, OrderedJson& j) {
  j["architectures"] = {c.head == Head::kNone ? "BertModel" : "BertForMaskedLM"};
  j["model_type"] = "bert";
  j["vocab_size"] = c.vocab_size;
  j["hidden_size"] = c.hidden_size;
  j["num_hidden_layers"] = c.num_hidden_layers;
  j["num_attention_heads"] = c.num_attention_heads;
  j["intermediate_size"] = c.intermediate_size;
  j["max_position_embeddings"] = c.max_position_embeddings;
  j["type_vocab_size"] = c.type_vocab_size;
  j["hidden_act"] = NameOfActivation(c.activation, kActivations);
  j["layer_norm_eps"] = c.norm_eps;
  j["hidden_dropout_prob"] = c.resid_pdrop;
  j["attention_probs_dropout_prob"] = c.attn_pdrop;
  j["position_embedding_type"] = "absolute";
}

void Tensors(const ModelConfig& c, TensorTable& t) {
  const ParameterList& list = t.list();
  const int64_t width = c.hidden_size;
  const auto linear = [&t](const std::string& name, int weight, int bias) {
    t.Add(name + ".weight", weight);
    t.Add(name + ".bias", bias);
  };
  t.Add("bert.embeddings.word_embeddings.weight", list.embedding);
  t.Add("bert.embeddings.position_embeddings.weight", list.position);
  t.Add("bert.embeddings.token_type_embeddings.weight", list.token_type);
  linear("bert.embeddings.LayerNorm", list.embedding_norm_weight, list.embedding_norm_bias);
  for (size_t l = 0; l < list.layers.size(); ++l) {
    const LayerParameters& p = list.layers[l];
    const std::string at = fmt::format("bert.encoder.layer.{}.", l);
    int64_t first = 0;
    for (const char* part : {"query", "key", "value"}) {
      const std::string name = at + "attention.self." + part;
      t.Slice(name + ".weight", p.qkv_weight, first, width);
      t.Slice(name + ".bias", p.qkv_bias, first, width);
      first += width;
    }
    linear(at + "attention.output.dense", p.out_weight, p.out_bias);
    linear(at + "attention.output.LayerNorm", p.norm1_weight, p.norm1_bias);
    linear(at + "intermediate.dense", p.up_weight, p.up_bias);
    linear(at + "output.dense", p.down_weight, p.down_bias);
    linear(at + "output.LayerNorm", p.norm2_weight, p.norm2_bias);
  }
  if (c.head == Head::kNone) return;
  // Untied, the decoder has a bias of its own; transformers stores the other one and does not read it.
  t.Add(c.tie_word_embeddings ? "cls.predictions.bias" : "cls.predictions.decoder.bias", list.head_bias);
  if (!c.tie_word_embeddings) t.Bias("cls.predictions.bias", -1, c.vocab_size);
  linear("cls.predictions.transform.dense", list.transform_weight, list.transform_bias);
  linear("cls.predictions.transform.LayerNorm", list.transform_norm_weight, list.transform_norm_bias);
  if (!c.tie_word_embeddings) t.Add("cls.predictions.decoder.weight", list.head);
}

constexpr std::string_view kUnprefixed[] = {"cls."},
                           kIgnorable[] = {"bert.pooler.dense.weight",      "bert.pooler.dense.bias",
                                           "cls.seq_relationship.weight",   "cls.seq_relationship.bias",
                                           "cls.predictions.bias",          "bert.embeddings.position_ids",
                                           "bert.embeddings.token_type_ids"};
constexpr std::pair<std::string_view, std::string_view> kCopies[] = {
    {"cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"},
    {"cls.predictions.decoder.bias", "cls.predictions.bias"}};

}  // namespace

const Architecture kBert = {"bert", Parse, Write, Tensors, "bert.", kUnprefixed, kIgnorable, kCopies, kNormSpellings};

}  // namespace kinetok
