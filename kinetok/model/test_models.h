// Small models for tests (odd widths, grouped heads, every branch of the configuration), and batches to train them on.
#pragma once

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "kinetok/base/random.h"
#include "kinetok/model/architecture.h"
#include "kinetok/model/parameters.h"
#include "kinetok/model/presets.h"
#include "kinetok/model/training_pass.h"
#include "kinetok/model/vision.h"

namespace kinetok {

struct NamedConfig {
  std::string name;
  ModelConfig config;
};

// A model of another kind with the sizes of `sizes`.
inline ModelConfig ShapedLike(const ModelConfig& sizes, ModelConfig c) {
  c.hidden_size = sizes.hidden_size;
  c.num_attention_heads = c.num_key_value_heads = sizes.num_attention_heads;
  c.head_dim = sizes.head_dim;
  c.intermediate_size = sizes.intermediate_size;
  c.vocab_size = sizes.vocab_size;
  c.max_position_embeddings = sizes.max_position_embeddings;
  return c;
}

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
  plain.norm_bias = plain.attention_bias = plain.attention_out_bias = plain.mlp_bias = false;
  plain.activation = Activation::kGeluErf;
  plain.tie_word_embeddings = false;
  ModelConfig gpt1 = ShapedLike(gpt2, Preset("tiny-gpt1"));
  gpt1.intermediate_size = 4 * gpt1.hidden_size;  // the format knows no other
  ModelConfig gpt_neo = ShapedLike(gpt2, Preset("tiny-gpt-neo"));
  gpt_neo.masks = {Mask::Causal(), Mask::Banded(7)};
  ModelConfig llama = Preset("tiny-llama");
  llama.hidden_size = 96;
  llama.num_attention_heads = 6;
  llama.num_key_value_heads = 2;
  llama.head_dim = 16;
  llama.intermediate_size = 200;
  llama.vocab_size = 333;
  llama.max_position_embeddings = 200;
  ModelConfig llama_bias = llama;
  llama_bias.attention_bias = llama_bias.attention_out_bias = llama_bias.mlp_bias = true;
  llama_bias.head_dim = 24;
  llama_bias.num_key_value_heads = 3;
  llama_bias.tie_word_embeddings = true;
  llama_bias.rope_scaling = {.kind = RopeScaling::Kind::kLlama3,
                             .factor = 8,
                             .low_freq_factor = 1,
                             .high_freq_factor = 4,
                             .original_max_position_embeddings = 64};
  return {{"gpt2", gpt2}, {"gpt2_plain", plain}, {"llama", llama}, {"llama_bias", llama_bias},
          {"gpt1", gpt1}, {"gpt_neo", gpt_neo}};
}

// An encoder of the same sizes: every position sees every other.
inline NamedConfig TestEncoder() {
  return {"bert", ShapedLike(TestConfigs()[0].config, Preset("tiny-bert"))};
}

// Two towers that differ in everything, a projector and a decoder.
inline NamedConfig TestVisionModel() {
  ModelConfig c = TestConfigs()[2].config;
  c.model_type = "openvla";
  c.bos_token_id = 1;
  c.eos_token_ids = {2};
  const Json first = {{"patch_size", 5},    {"embed_dim", 60},     {"depth", 3},
                      {"feature_block", 1}, {"num_heads", 3},      {"mlp_hidden_dim", 90},
                      {"reg_tokens", 2},    {"class_token", true}, {"layer_scale", true}};
  const Json second = {{"patch_size", 4}, {"embed_dim", 52},      {"depth", 1},       {"feature_block", 0},
                       {"num_heads", 2},  {"mlp_hidden_dim", 52}, {"attn_pool", true}};
  c.towers = {ParseVisionTower("first", 20, JsonObject(first, "first"), "test"),
              ParseVisionTower("second", 16, JsonObject(second, "second"), "test")};
  c.projector = {4 * (60 + 52), c.hidden_size, c.hidden_size};
  return {"openvla", c};
}

// The models that continue texts, and the encoder, which reads each whole.
inline std::vector<NamedConfig> AllTestConfigs() {
  std::vector<NamedConfig> all = TestConfigs();
  all.push_back(TestEncoder());
  return all;
}

// Wide enough that with 257 rows every kernel of a training pass has work for several threads. What takes the most:
//   weights of norms, embeddings   pieces of 16384 / (64 rows) + 1 blocks of 64 columns: 257 rows give 1, 192 columns 3
//   Add                            pieces of 32768 elements: 170 rows of 192
//   keys' Rope                     pieces of 16384 elements: 256 rows of 2 heads of 32
//   WriteKv                        pieces of 16384 / (2 * 64 * 32) + 1 = 5 heads of 64 rows: 257 rows of 2 heads have
//   10 biases of linear layers        pieces of 256 columns: the fused q, k, v have 576 and 320 rows a page apart,
//   copied      pieces of 32 rows where intermediate_size is a multiple of 1024
inline std::vector<NamedConfig> WideConfigs() {
  std::vector<NamedConfig> configs = TestConfigs();
  ModelConfig gpt2 = configs[0].config, llama = configs[2].config;
  for (ModelConfig* c : {&gpt2, &llama}) {
    c->hidden_size = 192;
    c->head_dim = 32;
    c->intermediate_size = 1024;
  }
  return {{"wide_gpt2", gpt2}, {"wide_llama", llama}};
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

// A ragged batch with some rows that carry no loss. For a model that sees images, a sequence has one behind its first
// token when it is long enough.
struct RaggedBatch {
  RaggedBatch(const ModelConfig& config, std::vector<int32_t> sequence_lengths, uint64_t seed)
      : lengths(std::move(sequence_lengths)) {
    const int64_t rows = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
    tokens = DrawTokens(rows, config.vocab_size, seed);
    labels = DrawTokens(rows, config.vocab_size, seed + 1);
    for (int64_t i = 0; i < rows; i += 5) labels[i] = -1;
    AddImages(config, seed);
    for (int64_t i = 0; i < rows; ++i) weights.push_back(labels[i] < 0 ? 0.0f : 0.02f);
    for (size_t s = 0; s < lengths.size(); ++s) keys.push_back(100 + s);
  }
  TrainingBatch View() const { return {tokens, labels, weights, lengths, keys, pixels}; }
  // The sequences [first, last) alone.
  RaggedBatch Part(size_t first, size_t last) const {
    RaggedBatch out = *this;
    const auto begin = std::accumulate(lengths.begin(), lengths.begin() + static_cast<long>(first), 0L);
    const auto end = std::accumulate(lengths.begin(), lengths.begin() + static_cast<long>(last), 0L);
    const auto cut = [&](auto& v) { v = {v.begin() + begin, v.begin() + end}; };
    const auto images_before = [&](size_t sequence) {
      return std::accumulate(images.begin(), images.begin() + static_cast<long>(sequence), int64_t{0});
    };
    out.pixels = {pixels.begin() + images_before(first) * image_floats,
                  pixels.begin() + images_before(last) * image_floats};
    out.images = {images.begin() + static_cast<long>(first), images.begin() + static_cast<long>(last)};
    cut(out.tokens);
    cut(out.labels);
    cut(out.weights);
    out.lengths = {lengths.begin() + static_cast<long>(first), lengths.begin() + static_cast<long>(last)};
    out.keys = {keys.begin() + static_cast<long>(first), keys.begin() + static_cast<long>(last)};
    return out;
  }
  std::vector<int32_t> tokens, labels, lengths, images;  // `images`: of each sequence
  std::vector<float> weights, pixels;
  std::vector<uint64_t> keys;
  int64_t image_floats = 0;

 private:
  void AddImages(const ModelConfig& config, uint64_t seed) {
    images.assign(lengths.size(), 0);
    image_floats = ImageFloats(config);
    int64_t at = 0;
    for (size_t s = 0; s < lengths.size(); at += lengths[s++]) {
      if (config.towers.empty() || lengths[s] < 2 + config.ImagePatches()) continue;
      images[s] = 1;
      std::fill_n(tokens.begin() + at + 1, config.ImagePatches(), -1);
      std::fill_n(labels.begin() + at + 1, config.ImagePatches() - 1, -1);  // the last patch predicts the next token
      for (int64_t i = 0; i < image_floats; ++i) {
        const Philox4 bits = RandomBits(seed, RandomStream::kTest, 78, pixels.size());
        pixels.push_back(static_cast<float>(4 * UniformDouble(bits[0], bits[1]) - 2));
      }
    }
  }
};

inline TrainingPassOptions TestPassOptions(const ModelConfig& config) {
  return {.max_rows = 310,
          .max_sequences = 4,
          .max_length = config.max_position_embeddings,
          .max_images = 4,
          .dropout_seed = 9};
}

struct PassResult {
  std::vector<float> losses, gradients;
};

// One optimizer step's gradient: every batch, then Finish.
inline PassResult RunTrainingStep(Context& context, TrainingPass& pass, const ParameterList& list,
                                  std::span<const float> flat, const std::vector<RaggedBatch>& batches) {
  PassResult out;
  out.gradients.assign(list.elements, 0.0f);
  for (const RaggedBatch& b : batches) {
    std::vector<float> losses(b.tokens.size());
    pass.ForwardBackward(context, flat, b.View(), 3, losses, out.gradients);
    out.losses.insert(out.losses.end(), losses.begin(), losses.end());
  }
  pass.Finish(context, out.gradients);
  return out;
}

inline bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 4) == 0;
}
inline bool SameBits(const PassResult& a, const PassResult& b) {
  return SameBits(a.losses, b.losses) && SameBits(a.gradients, b.gradients);
}

}  // namespace kinetok
