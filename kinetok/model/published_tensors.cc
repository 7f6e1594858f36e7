// The names and shapes of published checkpoints: Hugging Face's GPT2LMHeadModel and LlamaForCausalLM.

#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/model/parameters.h"

namespace kinetok {
namespace {

class Table {
 public:
  Table(const ParameterList& list, std::vector<PublishedTensor>* out) : list_(list), out_(out) {}

  // A whole parameter, or rows [first, first + rows) of it, stored [rows, columns] or, transposed, [columns, rows].
  void Add(std::string name, int parameter, bool transposed = false) {
    Slice(std::move(name), parameter, 0, list_.all[parameter].rows, transposed);
  }
  void Slice(std::string name, int parameter, int64_t first, int64_t rows, bool transposed = false) {
    const Parameter& p = list_.all[parameter];
    std::vector<int64_t> shape = {rows};
    if (p.is_matrix())
      shape = transposed ? std::vector<int64_t>{p.columns, rows} : std::vector<int64_t>{rows, p.columns};
    out_->push_back({std::move(name), parameter, first, rows, transposed, false, std::move(shape)});
  }
  // A bias that the published layout demands; zeros when the model has none.
  void Bias(std::string name, int parameter, int64_t size) {
    if (parameter >= 0) return Add(std::move(name), parameter);
    out_->push_back({std::move(name), -1, 0, size, false, true, {size}});
  }

 private:
  const ParameterList& list_;
  std::vector<PublishedTensor>* out_;
};

void Gpt2Tensors(const ModelConfig& c, const ParameterList& list, Table& t) {
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

void LlamaTensors(const ModelConfig& c, const ParameterList& list, Table& t) {
  const int64_t q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
  t.Add("model.embed_tokens.weight", list.embedding);
  for (size_t l = 0; l < list.layers.size(); ++l) {
    const LayerParameters& p = list.layers[l];
    const std::string at = fmt::format("model.layers.{}.", l);
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
  t.Add("model.norm.weight", list.final_norm_weight);
  if (!c.tie_word_embeddings) t.Add("lm_head.weight", list.head);
}

}  // namespace

std::vector<PublishedTensor> PublishedTensors(const ModelConfig& config, const ParameterList& list) {
  std::vector<PublishedTensor> out;
  Table table(list, &out);
  if (config.model_type == "gpt2") {
    Gpt2Tensors(config, list, table);
  } else {
    LlamaTensors(config, list, table);
  }
  return out;
}

std::string CanonicalTensorName(const ModelConfig& config, std::string_view name) {
  const std::string_view prefix = config.model_type == "gpt2" ? "transformer." : "model.";
  const bool whole = name.starts_with(prefix) || name.starts_with("lm_head.");
  std::string out = (whole ? "" : std::string(prefix)) + std::string(name);
  for (const auto& [old, now] : {std::pair{".gamma", ".weight"}, std::pair{".beta", ".bias"}}) {  // of norms, once
    if (out.ends_with(old)) out.replace(out.size() - std::string_view(old).size(), std::string::npos, now);
  }
  return out;
}

bool IsIgnorableTensor(const ModelConfig& config, std::string_view name) {
  if (config.model_type == "gpt2") return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
  return name.ends_with("rotary_emb.inv_freq");
}

}  // namespace kinetok
