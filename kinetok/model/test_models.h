// Small models for tests: odd widths, grouped heads, every branch of the configuration.
#pragma once

#include <string>
#include <vector>

#include "kinetok/base/random.h"
#include "kinetok/model/parameters.h"
#include "kinetok/model/presets.h"

namespace kinetok {

struct NamedConfig {
  std::string name;
  ModelConfig config;
};

// Wide enough that matrix products are split between threads and cross their blocks.
inline std::vector<NamedConfig> TestConfigs() {
  ModelConfig gpt2 = Preset("tiny");
  gpt2.hidden_size = 120;
  gpt2.num_attention_heads = gpt2.num_key_value_heads = 6;
  gpt2.head_dim = 20;
  gpt2.intermediate_size = 300;
  gpt2.vocab_size = 333;
  gpt2.max_position_embeddings = 200;
  ModelConfig plain = gpt2;
  plain.norm_bias = plain.attention_bias = plain.mlp_bias = false;
  plain.activation = Activation::kGeluErf;
  plain.tie_word_embeddings = false;
  ModelConfig banded = gpt2;
  banded.masks = {Mask::Causal(), Mask::Banded(7)};
  ModelConfig llama = Preset("tiny-llama");
  llama.hidden_size = 96;
  llama.num_attention_heads = 6;
  llama.num_key_value_heads = 2;
  llama.head_dim = 16;
  llama.intermediate_size = 200;
  llama.vocab_size = 333;
  llama.max_position_embeddings = 200;
  ModelConfig llama_bias = llama;
  llama_bias.attention_bias = llama_bias.mlp_bias = true;
  llama_bias.head_dim = 24;
  llama_bias.num_key_value_heads = 3;
  llama_bias.tie_word_embeddings = true;
  return {{"gpt2", gpt2}, {"gpt2_plain", plain}, {"gpt2_banded", banded}, {"llama", llama}, {"llama_bias", llama_bias}};
}

// Every parameter drawn, biases and norms included: uniform, matrices in +-0.15, norms in 1 +- 0.3, biases in +-0.2.
inline std::vector<float> DrawParameters(const ParameterList& list, uint64_t seed) {
  std::vector<float> flat(list.elements, 0.0f);
  for (size_t i = 0; i < list.all.size(); ++i) {
    const Parameter& p = list.all[i];
    for (int64_t e = 0; e < p.elements(); ++e) {
      const Philox4 bits = RandomBits(seed, RandomStream::kTest, static_cast<uint32_t>(i), static_cast<uint64_t>(e));
      const auto u = static_cast<float>(2 * UniformDouble(bits[0], bits[1]) - 1);
      const bool norm = p.init == Parameter::Init::kOne;
      flat[p.offset + e] = p.is_matrix() ? 0.15f * u : norm ? 1.0f + 0.3f * u : 0.2f * u;
    }
  }
  return flat;
}

inline std::vector<int32_t> DrawTokens(int64_t count, int64_t vocab, uint64_t seed) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<int32_t>(UniformBelow(RandomBits(seed, RandomStream::kTest, 77, i), vocab)));
  }
  return tokens;
}

}  // namespace kinetok
