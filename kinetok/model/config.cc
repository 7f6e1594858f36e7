#include "kinetok/model/config.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/kernels/attention.h"
#include "kinetok/model/architecture.h"
#include "kinetok/model/config_fields.h"
#include "kinetok/model/presets.h"

namespace kinetok {
namespace {

// Ids outside the vocabulary, which transformers writes for a GPT-2 of a small one, are never produced and left out.
void ParseSpecialTokens(const JsonObject& o, ModelConfig* c) {
  if (o.Has("bos_token_id")) {
    const int64_t bos = o.Int("bos_token_id", 0, kMaxVocab);
    if (bos < c->vocab_size) c->bos_token_id = static_cast<int32_t>(bos);
  }
  if (!o.Has("eos_token_id")) return;
  const Json& eos = o.json().at("eos_token_id");
  c->eos_token_ids.clear();
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
  const bool llama = model_type == "llama" || model_type == "openvla";
  if (!llama && num_key_value_heads != num_attention_heads) {
    Fail("{}: num_key_value_heads is {}, expected {}, as many as heads: a {} checkpoint cannot hold grouped ones",
         source, num_key_value_heads, num_attention_heads, model_type);
  }
  if (!llama && head_dim * num_attention_heads != hidden_size) {
    Fail("{}: head_dim is {}, expected hidden_size ({}) / num_attention_heads ({})", source, head_dim, hidden_size,
         num_attention_heads);
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
  const Architecture* architecture = FindArchitecture(type);
  if (architecture == nullptr) {
    std::vector<std::string> names;
    for (const Architecture* a : Architectures()) names.emplace_back(a->model_type);
    const std::string near = NearestName(type, names);
    Fail("{}: field \"model_type\" is \"{}\", which is not supported; {}", source, type,
         near.empty() ? fmt::format("expected {}", fmt::join(names, ", ")) : fmt::format("did you mean {}?", near));
  }
  ModelConfig c = architecture->parse(o);
  c.initializer_range = o.Number("initializer_range", 0.02);
  ParseSpecialTokens(o, &c);
  c.Check(source);
  return c;
}

ModelConfig LoadModelConfig(const std::filesystem::path& file) {
  return ParseModelConfig(ParseJson(ReadFile(file), file.string()), file.string());
}

bool ModelConfig::IsCausal() const {
  return std::none_of(masks.begin(), masks.end(), [](const Mask& m) { return m.kind == Mask::Kind::kFull; });
}

void RequireNextToken(const ModelConfig& config, std::string_view purpose) {
  if (config.IsCausal() && config.head == Head::kNextToken) return;
  Fail(
      "{} needs a model that predicts the next token; model_type \"{}\" reads a text whole (fill-mask and embed use "
      "it)",
      purpose, config.model_type);
}

OrderedJson ModelConfigToJson(const ModelConfig& c, std::string_view dtype) {
  OrderedJson j;
  const Architecture* architecture = FindArchitecture(c.model_type);
  KINETOK_CHECK(architecture != nullptr);
  architecture->write(c, j);
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
