#include "kinetok/model/parameters.h"

#include <cmath>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/base/math.h"
#include "kinetok/base/random.h"

namespace kinetok {
namespace {

using Init = Parameter::Init;

class Builder {
 public:
  explicit Builder(ParameterList* list) : list_(list) {}
  int Matrix(std::string name, int64_t rows, int64_t columns, double std) {
    return Append({std::move(name), rows, columns, Init::kNormal, std, 0});
  }
  int Vector(std::string name, int64_t size, Init init) { return Append({std::move(name), size, 0, init, 0, 0}); }

 private:
  int Append(Parameter p) {
    p.offset = list_->elements;
    list_->elements += RoundUp(p.elements(), 16);
    list_->parameters += p.elements();
    list_->all.push_back(std::move(p));
    return static_cast<int>(list_->all.size()) - 1;
  }
  ParameterList* list_;
};

}  // namespace

ParameterList::ParameterList(const ModelConfig& c) {
  Builder b(this);
  const double std = c.initializer_range;
  const double residual_std = std / std::sqrt(2.0 * static_cast<double>(c.num_hidden_layers));
  const int64_t width = c.hidden_size, heads_width = c.num_attention_heads * c.head_dim;
  const int64_t up_rows = c.gated_mlp ? 2 * c.intermediate_size : c.intermediate_size;
  embedding = b.Matrix("embedding.weight", c.vocab_size, width, std);
  if (c.position == Position::kLearned) position = b.Matrix("position.weight", c.max_position_embeddings, width, std);
  if (c.type_vocab_size > 0) token_type = b.Matrix("token_type.weight", c.type_vocab_size, width, std);
  const auto norm = [&](const std::string& name, int* weight, int* its_bias) {
    *weight = b.Vector(name + ".weight", width, Init::kOne);
    if (c.norm_bias) *its_bias = b.Vector(name + ".bias", width, Init::kZero);
  };
  if (c.embedding_norm) norm("embedding_norm", &embedding_norm_weight, &embedding_norm_bias);
  for (int64_t l = 0; l < c.num_hidden_layers; ++l) {
    const std::string at = fmt::format("layers.{}.", l);
    const auto bias = [&](bool has, const char* name, int64_t size) {
      return has ? b.Vector(at + name, size, Init::kZero) : -1;
    };
    LayerParameters p;
    norm(at + "norm1", &p.norm1_weight, &p.norm1_bias);
    p.qkv_weight = b.Matrix(at + "qkv.weight", c.QkvRows(), width, std);
    p.qkv_bias = bias(c.attention_bias, "qkv.bias", c.QkvRows());
    p.out_weight = b.Matrix(at + "out.weight", width, heads_width, residual_std);
    p.out_bias = bias(c.attention_out_bias, "out.bias", width);
    norm(at + "norm2", &p.norm2_weight, &p.norm2_bias);
    p.up_weight = b.Matrix(at + "up.weight", up_rows, width, std);
    p.up_bias = bias(c.mlp_bias, "up.bias", up_rows);
    p.down_weight = b.Matrix(at + "down.weight", width, c.intermediate_size, residual_std);
    p.down_bias = bias(c.mlp_bias, "down.bias", width);
    layers.push_back(p);
  }
  if (c.final_norm) norm("final_norm", &final_norm_weight, &final_norm_bias);
  if (c.head == Head::kNone) return;
  if (c.head == Head::kMaskedLm) {
    transform_weight = b.Matrix("transform.weight", width, width, std);
    transform_bias = b.Vector("transform.bias", width, Init::kZero);
    norm("transform_norm", &transform_norm_weight, &transform_norm_bias);
    head_bias = b.Vector("head.bias", c.vocab_size, Init::kZero);
  }
  head = c.tie_word_embeddings ? embedding : b.Matrix("head.weight", c.vocab_size, width, std);
}

void InitializeParameter(const ParameterList& list, int parameter, uint64_t seed, int64_t first, std::span<float> out) {
  const Parameter& p = list.all[parameter];
  if (p.init != Init::kNormal) {
    for (float& v : out) v = p.init == Init::kOne ? 1.0f : 0.0f;
    return;
  }
  // Box-Muller, one pair of normals per counter: element e belongs to pair e / 2.
  constexpr double kTwoPi = 6.283185307179586476925286766559;
  for (size_t i = 0; i < out.size();) {
    const int64_t element = first + static_cast<int64_t>(i);
    const Philox4 bits = RandomBits(seed, RandomStream::kInit, static_cast<uint32_t>(parameter), element / 2);
    const double radius = std::sqrt(-2 * Log(1 - UniformDouble(bits[0], bits[1])));
    const double angle = kTwoPi * UniformDouble(bits[2], bits[3]);
    if (element % 2 == 0) {
      out[i++] = static_cast<float>(p.std * radius * Cos(angle));
      if (i == out.size()) break;
    }
    out[i++] = static_cast<float>(p.std * radius * Sin(angle));
  }
}

void InitializeParameters(const ParameterList& list, uint64_t seed, std::span<float> flat) {
  KINETOK_CHECK(static_cast<int64_t>(flat.size()) == list.elements);
  for (size_t i = 0; i < list.all.size(); ++i) {
    const Parameter& p = list.all[i];
    InitializeParameter(list, static_cast<int>(i), seed, 0, flat.subspan(p.offset, p.elements()));
  }
}

}  // namespace kinetok
