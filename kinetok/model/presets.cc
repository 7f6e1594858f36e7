#include "kinetok/model/presets.h"

#include <algorithm>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

ModelConfig Gpt2(int64_t layers, int64_t width, int64_t heads) {
  ModelConfig c;
  c.model_type = "gpt2";
  c.vocab_size = 50257;
  c.hidden_size = width;
  c.num_hidden_layers = layers;
  c.num_attention_heads = c.num_key_value_heads = heads;
  c.head_dim = width / heads;
  c.intermediate_size = 4 * width;
  c.max_position_embeddings = 1024;
  c.bos_token_id = 50256;
  c.eos_token_ids = {50256};
  return c;
}

ModelConfig Gpt1(int64_t layers, int64_t width, int64_t heads) {
  ModelConfig c = Gpt2(layers, width, heads);
  c.model_type = "openai-gpt";
  c.vocab_size = 40478;
  c.max_position_embeddings = 512;
  c.norm_place = NormPlace::kAfter;
  c.final_norm = false;
  c.embd_pdrop = c.attn_pdrop = c.resid_pdrop = 0.1;
  c.bos_token_id.reset();
  c.eos_token_ids.clear();
  return c;
}

// GPT-3's sizes (Brown et al. 2020, table 2.1) in the layout of its public counterpart, GPT-Neo. Two rows of the table
// contradict themselves (24 heads of 128 in 2048 columns; 5140 columns); they are taken as GPT-Neo and OPT read them.
ModelConfig Gpt3(int64_t layers, int64_t width, int64_t heads) {
  ModelConfig c = Gpt2(layers, width, heads);
  c.model_type = "gpt_neo";
  c.max_position_embeddings = 2048;
  c.masks = {Mask::Causal(), Mask::Banded(256)};
  c.scale_attention = false;
  c.attention_bias = false;
  return c;
}

ModelConfig Bert(int64_t layers, int64_t width, int64_t heads) {
  ModelConfig c = Gpt2(layers, width, heads);
  c.model_type = "bert";
  c.vocab_size = 30522;
  c.max_position_embeddings = 512;
  c.type_vocab_size = 2;
  c.masks = {Mask::Full()};
  c.norm_place = NormPlace::kAfter;
  c.embedding_norm = true;
  c.final_norm = false;
  c.norm_eps = 1e-12;
  c.activation = Activation::kGeluErf;
  c.head = Head::kMaskedLm;
  c.embd_pdrop = c.attn_pdrop = c.resid_pdrop = 0.1;
  c.bos_token_id.reset();
  c.eos_token_ids.clear();
  return c;
}

ModelConfig Llama(int64_t layers, int64_t width, int64_t ffn, int64_t heads, int64_t kv_heads) {
  ModelConfig c;
  c.model_type = "llama";
  c.vocab_size = 32000;
  c.hidden_size = width;
  c.num_hidden_layers = layers;
  c.num_attention_heads = heads;
  c.num_key_value_heads = kv_heads;
  c.head_dim = width / heads;
  c.intermediate_size = ffn;
  c.max_position_embeddings = 4096;
  c.norm = Norm::kRms;
  c.norm_bias = false;
  c.norm_eps = 1e-5;
  c.position = Position::kRope;
  c.gated_mlp = true;
  c.activation = Activation::kSilu;
  c.attention_bias = c.attention_out_bias = c.mlp_bias = false;
  c.tie_word_embeddings = false;
  c.bos_token_id = 1;
  c.eos_token_ids = {2};
  return c;
}

// nanoGPT's character models: GPT-2 without biases; the vocabulary is set by the tokenizer (65 for tinyshakespeare).
ModelConfig NanoChar(int64_t layers, int64_t width, int64_t heads, int64_t block, double dropout) {
  ModelConfig c = Gpt2(layers, width, heads);
  c.vocab_size = 65;
  c.max_position_embeddings = block;
  c.norm_bias = c.attention_bias = c.attention_out_bias = c.mlp_bias = false;
  c.activation = Activation::kGeluErf;  // nanoGPT's nn.GELU()
  c.embd_pdrop = c.attn_pdrop = c.resid_pdrop = dropout;
  c.bos_token_id.reset();
  c.eos_token_ids.clear();
  return c;
}

ModelConfig Tiny(ModelConfig c) {
  c.vocab_size = 512;
  c.max_position_embeddings = 128;
  c.embd_pdrop = c.attn_pdrop = c.resid_pdrop = 0;
  c.bos_token_id.reset();
  c.eos_token_ids.clear();
  return c;
}

ModelConfig TinyGptNeo() {
  ModelConfig c = Tiny(Gpt3(2, 64, 4));
  c.masks = {Mask::Causal(), Mask::Banded(16)};
  return c;
}

struct Named {
  const char* name;
  ModelConfig (*make)();
};

constexpr Named kPresets[] = {
    {"tiny", [] { return Tiny(Gpt2(2, 64, 4)); }},
    {"tiny-llama", [] { return Tiny(Llama(2, 64, 176, 4, 2)); }},
    {"tiny-gpt1", [] { return Tiny(Gpt1(2, 64, 4)); }},
    {"tiny-gpt-neo", TinyGptNeo},
    {"tiny-bert", [] { return Tiny(Bert(2, 64, 4)); }},
    {"nano-char-cpu", [] { return NanoChar(4, 128, 4, 64, 0.0); }},
    {"nano-char-gpu", [] { return NanoChar(6, 384, 6, 256, 0.2); }},
    {"gpt1-117m", [] { return Gpt1(12, 768, 12); }},
    {"gpt2-124m", [] { return Gpt2(12, 768, 12); }},
    {"gpt2-355m", [] { return Gpt2(24, 1024, 16); }},
    {"gpt2-774m", [] { return Gpt2(36, 1280, 20); }},
    {"gpt2-1.5b", [] { return Gpt2(48, 1600, 25); }},
    {"gpt3-125m", [] { return Gpt3(12, 768, 12); }},
    {"gpt3-350m", [] { return Gpt3(24, 1024, 16); }},
    {"gpt3-760m", [] { return Gpt3(24, 1536, 16); }},
    {"gpt3-1.3b", [] { return Gpt3(24, 2048, 16); }},
    {"gpt3-2.7b", [] { return Gpt3(32, 2560, 32); }},
    {"gpt3-6.7b", [] { return Gpt3(32, 4096, 32); }},
    {"gpt3-13b", [] { return Gpt3(40, 5120, 40); }},
    {"gpt3-175b", [] { return Gpt3(96, 12288, 96); }},
    {"llama-1.1b", [] { return Llama(22, 2048, 5632, 32, 4); }},
    {"llama2-7b", [] { return Llama(32, 4096, 11008, 32, 32); }},
    {"llama2-13b", [] { return Llama(40, 5120, 13824, 40, 40); }},
    {"llama2-70b", [] { return Llama(80, 8192, 28672, 64, 8); }},
    {"bert-base", [] { return Bert(12, 768, 12); }},
    {"bert-large", [] { return Bert(24, 1024, 16); }},
};

int64_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<int64_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int64_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> PresetNames() {
  std::vector<std::string> names;
  for (const Named& p : kPresets) names.emplace_back(p.name);
  return names;
}

std::string NearestName(std::string_view word, const std::vector<std::string>& names) {
  std::string best;
  int64_t best_distance = 1 + static_cast<int64_t>(word.size()) / 3;
  for (const std::string& name : names) {
    const int64_t d = EditDistance(word, name);
    if (d < best_distance) {
      best_distance = d;
      best = name;
    }
  }
  return best;
}

ModelConfig Preset(std::string_view name) {
  for (const Named& p : kPresets) {
    if (name == p.name) return p.make();
  }
  const std::vector<std::string> names = PresetNames();
  const std::string near = NearestName(name, names);
  if (!near.empty()) Fail("preset \"{}\" is unknown; did you mean \"{}\"?", name, near);
  Fail("preset \"{}\" is unknown; expected one of {}", name, fmt::join(names, ", "));
}

}  // namespace kinetok
