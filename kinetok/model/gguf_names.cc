// llama.cpp's names of tensors (gguf-py/gguf/constants.py), one row a tensor, beside published_tensors.cc.

#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/model/gguf_model.h"

namespace kinetok {
namespace {

class Table {
 public:
  Table(const ParameterList& list, std::vector<PublishedTensor>* out) : list_(list), out_(out) {}

  // A whole parameter, or rows [first, first + rows) of it. A matrix is stored [outputs, inputs] in every architecture.
  void Add(std::string name, int parameter) { Slice(std::move(name), parameter, 0, list_.all[parameter].rows); }
  void Slice(std::string name, int parameter, int64_t first, int64_t rows, int64_t rotary_dim = 0) {
    const Parameter& p = list_.all[parameter];
    std::vector<int64_t> shape = {rows};
    if (p.is_matrix()) shape.push_back(p.columns);
    out_->push_back({std::move(name), parameter, first, rows, false, false, std::move(shape), rotary_dim});
  }
  // A bias that the architecture demands; zeros when the model has none.
  void Bias(std::string name, int parameter, int64_t size) {
    if (parameter >= 0) return Add(std::move(name), parameter);
    out_->push_back({std::move(name), -1, 0, size, false, true, {size}});
  }

 private:
  const ParameterList& list_;
  std::vector<PublishedTensor>* out_;
};

void Gpt2Tensors(const ModelConfig& c, const ParameterList& list, Table& t) {
  t.Add("token_embd.weight", list.embedding);
  t.Add("position_embd.weight", list.position);
  for (size_t l = 0; l < list.layers.size(); ++l) {
    const LayerParameters& p = list.layers[l];
    const std::string at = fmt::format("blk.{}.", l);
    t.Add(at + "attn_norm.weight", p.norm1_weight);
    t.Bias(at + "attn_norm.bias", p.norm1_bias, c.hidden_size);
    t.Add(at + "attn_qkv.weight", p.qkv_weight);
    t.Bias(at + "attn_qkv.bias", p.qkv_bias, c.QkvRows());
    t.Add(at + "attn_output.weight", p.out_weight);
    t.Bias(at + "attn_output.bias", p.out_bias, c.hidden_size);
    t.Add(at + "ffn_norm.weight", p.norm2_weight);
    t.Bias(at + "ffn_norm.bias", p.norm2_bias, c.hidden_size);
    t.Add(at + "ffn_up.weight", p.up_weight);
    t.Bias(at + "ffn_up.bias", p.up_bias, c.intermediate_size);
    t.Add(at + "ffn_down.weight", p.down_weight);
    t.Bias(at + "ffn_down.bias", p.down_bias, c.hidden_size);
  }
  t.Add("output_norm.weight", list.final_norm_weight);
  t.Bias("output_norm.bias", list.final_norm_bias, c.hidden_size);
  if (!c.tie_word_embeddings) t.Add("output.weight", list.head);
}

void LlamaTensors(const ModelConfig& c, const ParameterList& list, Table& t) {
  const int64_t q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
  t.Add("token_embd.weight", list.embedding);
  for (size_t l = 0; l < list.layers.size(); ++l) {
    const LayerParameters& p = list.layers[l];
    const std::string at = fmt::format("blk.{}.", l);
    const auto slice = [&](const std::string& name, int weight, int bias, int64_t first, int64_t rows,
                           int64_t rotary_dim = 0) {
      t.Slice(at + name + ".weight", weight, first, rows, rotary_dim);
      if (bias >= 0) t.Slice(at + name + ".bias", bias, first, rows, rotary_dim);
    };
    t.Add(at + "attn_norm.weight", p.norm1_weight);
    slice("attn_q", p.qkv_weight, p.qkv_bias, 0, q, c.head_dim);
    slice("attn_k", p.qkv_weight, p.qkv_bias, q, kv, c.head_dim);
    slice("attn_v", p.qkv_weight, p.qkv_bias, q + kv, kv);
    slice("attn_output", p.out_weight, p.out_bias, 0, c.hidden_size);
    t.Add(at + "ffn_norm.weight", p.norm2_weight);
    slice("ffn_gate", p.up_weight, p.up_bias, 0, c.intermediate_size);
    slice("ffn_up", p.up_weight, p.up_bias, c.intermediate_size, c.intermediate_size);
    slice("ffn_down", p.down_weight, p.down_bias, 0, c.hidden_size);
  }
  t.Add("output_norm.weight", list.final_norm_weight);
  if (!c.tie_word_embeddings) t.Add("output.weight", list.head);
}

}  // namespace

std::vector<PublishedTensor> GgufTensors(const ModelConfig& config, const ParameterList& list) {
  std::vector<PublishedTensor> out;
  Table table(list, &out);
  if (config.model_type == "gpt2") {
    Gpt2Tensors(config, list, table);
  } else {
    KINETOK_CHECK(config.model_type == "llama");
    LlamaTensors(config, list, table);
  }
  return out;
}

}  // namespace kinetok
