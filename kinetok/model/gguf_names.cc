// llama.cpp's names of tensors (gguf-py/gguf/constants.py), one row a tensor, beside published_tensors.cc.

#include "kinetok/base/error.h"
#include "kinetok/model/architecture.h"
#include "kinetok/model/gguf_model.h"

namespace kinetok {
namespace {

void Gpt2Tensors(const ModelConfig& c, TensorTable& t) {
  const ParameterList& list = t.list();
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

void LlamaTensors(const ModelConfig& c, TensorTable& t) {
  const ParameterList& list = t.list();
  const int64_t q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
  t.Add("token_embd.weight", list.embedding);
  for (size_t l = 0; l < list.layers.size(); ++l) {
    const LayerParameters& p = list.layers[l];
    const std::string at = fmt::format("blk.{}.", l);
    const auto slice = [&](const std::string& name, int weight, int bias, int64_t first, int64_t rows) {
      t.Slice(at + name + ".weight", weight, first, rows);
      if (bias >= 0) t.Slice(at + name + ".bias", bias, first, rows);
    };
    const auto rotary = [&](const std::string& name, int64_t first, int64_t rows) {
      t.Interleaved(at + name + ".weight", p.qkv_weight, first, rows, c.head_dim);
      if (p.qkv_bias >= 0) t.Interleaved(at + name + ".bias", p.qkv_bias, first, rows, c.head_dim);
    };
    t.Add(at + "attn_norm.weight", p.norm1_weight);
    rotary("attn_q", 0, q);
    rotary("attn_k", q, kv);
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

// BertModel: llama.cpp keeps no head for masked words.
void BertTensors(const ModelConfig& c, TensorTable& t) {
  const ParameterList& list = t.list();
  const auto linear = [&t](const std::string& name, int weight, int bias) {
    t.Add(name + ".weight", weight);
    t.Add(name + ".bias", bias);
  };
  t.Add("token_embd.weight", list.embedding);
  t.Add("position_embd.weight", list.position);
  t.Add("token_types.weight", list.token_type);
  linear("token_embd_norm", list.embedding_norm_weight, list.embedding_norm_bias);
  for (size_t l = 0; l < list.layers.size(); ++l) {
    const LayerParameters& p = list.layers[l];
    const std::string at = fmt::format("blk.{}.", l);
    int64_t first = 0;
    for (const char* part : {"attn_q", "attn_k", "attn_v"}) {
      t.Slice(at + part + ".weight", p.qkv_weight, first, c.hidden_size);
      t.Slice(at + part + ".bias", p.qkv_bias, first, c.hidden_size);
      first += c.hidden_size;
    }
    linear(at + "attn_output", p.out_weight, p.out_bias);
    linear(at + "attn_output_norm", p.norm1_weight, p.norm1_bias);
    linear(at + "ffn_up", p.up_weight, p.up_bias);
    linear(at + "ffn_down", p.down_weight, p.down_bias);
    linear(at + "layer_output_norm", p.norm2_weight, p.norm2_bias);
  }
}

}  // namespace

std::vector<PublishedTensor> GgufTensors(const ModelConfig& config, const ParameterList& list) {
  std::vector<PublishedTensor> out;
  TensorTable table(list, &out);
  if (config.model_type == "gpt2") {
    Gpt2Tensors(config, table);
  } else if (config.model_type == "llama") {
    LlamaTensors(config, table);
  } else {
    KINETOK_CHECK(config.model_type == "bert");
    BertTensors(config, table);
  }
  return out;
}

std::string_view GgufOriginalOfCopy(std::string_view name) {
  return name == "output.weight" ? "token_embd.weight" : "";
}

}  // namespace kinetok
