// OpenVLA (Kim et al. 2024, arXiv 2406.09246): one or two vision towers, a projector and Llama 2, as openvla's
// OpenVLAForActionPrediction stores them. What configures no stack (norm_stats, ...) is carried along as it is.
#include <set>

#include "kinetok/base/error.h"
#include "kinetok/model/architecture.h"
#include "kinetok/model/config_fields.h"

namespace kinetok {
namespace {

constexpr std::string_view kTowerNames[] = {"featurizer", "fused_featurizer"};

// Fields that ModelConfig holds in another form; `carried` has the others.
const std::set<std::string_view>& OwnFields() {
  static const std::set<std::string_view> fields = {"model_type",
                                                    "text_config",
                                                    "use_fused_vision_backbone",
                                                    "timm_model_ids",
                                                    "timm_override_act_layers",
                                                    "image_sizes",
                                                    "arch_specifier",
                                                    "kinetok_vision",
                                                    "bos_token_id",
                                                    "eos_token_id",
                                                    "initializer_range",
                                                    "torch_dtype",
                                                    "use_cache",
                                                    "tie_word_embeddings",
                                                    "architectures"};
  return fields;
}

std::vector<ModelConfig> ParseTowers(const JsonObject& o, bool fused) {
  const size_t count = fused ? 2 : 1;
  if (o.Has("timm_override_act_layers")) {
    for (const Json& layer : o.Array("timm_override_act_layers")) {
      if (!layer.is_null()) {
        Fail("{}: field \"timm_override_act_layers\" holds {}, expected null: the towers keep their own activations",
             o.source(), Shorten(layer));
      }
    }
  }
  const Json &ids = o.Array("timm_model_ids"), &sizes = o.Array("image_sizes");
  if (ids.size() != count || sizes.size() != count) {
    Fail(
        "{}: fields \"timm_model_ids\" and \"image_sizes\" have {} and {} entries, expected {} "
        "(use_fused_vision_backbone is {})",
        o.source(), ids.size(), sizes.size(), count, fused);
  }
  std::vector<ModelConfig> towers;
  for (size_t t = 0; t < count; ++t) {
    if (!ids[t].is_string() || !sizes[t].is_number_integer()) {
      Fail("{}: fields \"timm_model_ids\" and \"image_sizes\" hold {} and {}, expected names and pixels", o.source(),
           Shorten(ids[t]), Shorten(sizes[t]));
    }
    const std::string id = ids[t].get<std::string>();
    const auto size = sizes[t].get<int64_t>();
    std::optional<JsonObject> description;
    if (o.Has("kinetok_vision")) {
      const JsonObject all = o.Object("kinetok_vision");
      all.AllowKeys({kTowerNames[0], kTowerNames[1]});
      if (all.Has(kTowerNames[t])) description = all.Object(kTowerNames[t]);
    }
    towers.push_back(ParseVisionTower(id, size, description, o.source()));
  }
  if (fused && towers[0].patches->Patches() != towers[1].patches->Patches()) {
    Fail("{}: the towers cut an image into {} and {} patches, expected as many, for their features lie side by side",
         o.source(), towers[0].patches->Patches(), towers[1].patches->Patches());
  }
  return towers;
}

// Widths of the projector's layers. arch_specifier says what they are.
std::vector<int64_t> ParseProjector(const JsonObject& o, bool fused, int64_t features, int64_t hidden_size) {
  const std::string expected = fused ? "no-align+fused-gelu-mlp" : "no-align+gelu-mlp";
  const std::string arch = o.String("arch_specifier", expected);
  if (arch != expected) {
    Fail(
        "{}: field \"arch_specifier\" is \"{}\", which is not supported with use_fused_vision_backbone {}; expected "
        "\"{}\"",
        o.source(), arch, fused, expected);
  }
  if (fused) return {4 * features, hidden_size, hidden_size};
  return {hidden_size, hidden_size};
}

ModelConfig Parse(const JsonObject& o) {
  const JsonObject text = o.Object("text_config");
  const std::string type = text.String("model_type", "llama");
  if (type != "llama") {
    Fail("{}: field \"text_config.model_type\" is \"{}\", which is not supported; expected llama", o.source(), type);
  }
  ModelConfig c = ParseLlama(text, true);
  c.model_type = "openvla";
  c.bos_token_id = 1;
  c.eos_token_ids = {2};
  if (text.Has("bos_token_id")) c.bos_token_id = static_cast<int32_t>(text.Int("bos_token_id", 0, c.vocab_size - 1));
  if (text.Has("eos_token_id")) c.eos_token_ids = {static_cast<int32_t>(text.Int("eos_token_id", 0, c.vocab_size - 1))};
  const bool fused = o.Bool("use_fused_vision_backbone");
  c.towers = ParseTowers(o, fused);
  int64_t features = 0;
  for (const ModelConfig& t : c.towers) features += t.hidden_size;
  c.projector = ParseProjector(o, fused, features, c.hidden_size);
  for (const auto& [key, value] : o.json().items()) {
    if (OwnFields().count(key) == 0) c.carried[key] = value;
  }
  return c;
}

void Write(const ModelConfig& c, OrderedJson& j) {
  const bool fused = c.towers.size() == 2;
  j["architectures"] = {"OpenVLAForActionPrediction"};
  j["model_type"] = "openvla";
  j["arch_specifier"] = fused ? "no-align+fused-gelu-mlp" : "no-align+gelu-mlp";
  j["use_fused_vision_backbone"] = fused;
  OrderedJson described = OrderedJson::object();
  for (size_t t = 0; t < c.towers.size(); ++t) {
    j["timm_model_ids"].push_back(c.towers[t].patches->timm_id);
    j["timm_override_act_layers"].push_back(nullptr);
    j["image_sizes"].push_back(c.towers[t].patches->image_size);
    OrderedJson tower = VisionTowerToJson(c.towers[t]);
    if (!tower.is_null()) described[kTowerNames[t]] = std::move(tower);
  }
  if (!described.empty()) j["kinetok_vision"] = std::move(described);
  for (const auto& [key, value] : c.carried.items()) j[key] = value;
  OrderedJson& text = j["text_config"];
  WriteLlama(c, text);
  text.erase("architectures");
  text["tie_word_embeddings"] = c.tie_word_embeddings;
}

void Tensors(const ModelConfig& c, TensorTable& t) {
  const ParameterList& list = t.list();
  AddLlamaTensors(c, "language_model.", t);  // its embedding comes first
  for (size_t i = 0; i < c.towers.size(); ++i) {
    AddVisionTensors(c.towers[i], list.towers[i], fmt::format("vision_backbone.{}.", kTowerNames[i]), t);
  }
  for (size_t i = 0; i < list.projector.size(); ++i) {
    t.Add(fmt::format("projector.fc{}.weight", i + 1), list.projector[i].weight);
    t.Add(fmt::format("projector.fc{}.bias", i + 1), list.projector[i].bias);
  }
}

constexpr std::string_view kIgnorable[] = {"rotary_emb.inv_freq"};
constexpr std::pair<std::string_view, std::string_view> kCopies[] = {
    {"language_model.lm_head.weight", "language_model.model.embed_tokens.weight"}};
// As timm and the native Prismatic checkpoints spell them.
constexpr std::pair<std::string_view, std::string_view> kSpellings[] = {{".ls1.gamma", ".ls1.scale_factor"},
                                                                        {".ls2.gamma", ".ls2.scale_factor"},
                                                                        {"projector.0.", "projector.fc1."},
                                                                        {"projector.2.", "projector.fc2."},
                                                                        {"projector.4.", "projector.fc3."}};

}  // namespace

const Architecture kOpenVla = {"openvla", Parse, Write, Tensors, "", {}, kIgnorable, kCopies, kSpellings};

}  // namespace kinetok
