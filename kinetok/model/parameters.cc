#include "kinetok/model/parameters.h"

#include <algorithm>
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
    return Append({.name = std::move(name), .rows = rows, .columns = columns, .init = Init::kNormal, .std = std});
  }
  int Table(std::string name, int64_t rows, int64_t columns, double std) {
    const int at = Matrix(std::move(name), rows, columns, std);
    list_->all[at].table = true;
    return at;
  }
  // Of a square of `side` x `side` patches, and rows before them.
  int Grid(std::string name, int64_t rows, int64_t columns, int64_t side) {
    const int at = Table(std::move(name), rows, columns, 0);
    list_->all[at].init = Init::kGrid;
    list_->all[at].grid = side;
    return at;
  }
  int Vector(std::string name, int64_t size, Init init) {
    return Append({.name = std::move(name), .rows = size, .init = init});
  }

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

namespace {

// As PyTorch's nn.Linear and nn.Conv2d draw, for the parts that look: a width of 0.02, made for wide language models,
// would make a narrow tower's features so faint that a decoder learns to do without them.
double FanInStd(int64_t inputs) {
  return 1 / std::sqrt(3.0 * static_cast<double>(inputs));
}

void AddNorm(Builder& b, const ModelConfig& c, const std::string& name, int* weight, int* bias) {
  *weight = b.Vector(name + ".weight", c.hidden_size, Init::kOne);
  if (c.norm_bias) *bias = b.Vector(name + ".bias", c.hidden_size, Init::kZero);
}

LayerParameters AddLayer(Builder& b, const ModelConfig& c, const std::string& at) {
  const int64_t width = c.hidden_size, heads_width = c.num_attention_heads * c.head_dim;
  const double std = c.patches ? FanInStd(width) : c.initializer_range;
  const double residual_std = std / std::sqrt(2.0 * static_cast<double>(c.num_hidden_layers));
  const int64_t up_rows = c.gated_mlp ? 2 * c.intermediate_size : c.intermediate_size;
  const auto bias = [&](bool has, const char* name, int64_t size) {
    return has ? b.Vector(at + name, size, Init::kZero) : -1;
  };
  const auto scale = [&](const char* name) { return c.layer_scale ? b.Vector(at + name, width, Init::kOne) : -1; };
  LayerParameters p;
  AddNorm(b, c, at + "norm1", &p.norm1_weight, &p.norm1_bias);
  p.qkv_weight = b.Matrix(at + "qkv.weight", c.QkvRows(), width, std);
  p.qkv_bias = bias(c.attention_bias, "qkv.bias", c.QkvRows());
  p.out_weight = b.Matrix(at + "out.weight", width, heads_width, residual_std);
  p.out_bias = bias(c.attention_out_bias, "out.bias", width);
  p.scale1 = scale("scale1");
  AddNorm(b, c, at + "norm2", &p.norm2_weight, &p.norm2_bias);
  p.up_weight = b.Matrix(at + "up.weight", up_rows, width, std);
  p.up_bias = bias(c.mlp_bias, "up.bias", up_rows);
  p.down_weight = b.Matrix(at + "down.weight", width, c.intermediate_size, residual_std);
  p.down_bias = bias(c.mlp_bias, "down.bias", width);
  p.scale2 = scale("scale2");
  return p;
}

// What precedes a stack's head.
void AddStack(Builder& b, const ModelConfig& c, const std::string& at, StackParameters* s) {
  const double std = c.initializer_range;
  const int64_t width = c.hidden_size;
  if (c.patches) {
    const PatchInput& p = *c.patches;
    s->patch_weight = b.Matrix(at + "patch.weight", width, p.PatchWidth(), FanInStd(p.PatchWidth()));
    s->patch_bias = b.Vector(at + "patch.bias", width, Init::kZero);
    if (p.PrefixTokens() > 0) s->embedding = b.Table(at + "prefix.weight", p.PrefixTokens(), width, std);
  } else {
    s->embedding = b.Matrix(at + "embedding.weight", c.vocab_size, width, std);
  }
  if (c.position == Position::kLearned) {
    const std::string name = at + "position.weight";
    s->position = c.patches
                      ? b.Grid(name, c.max_position_embeddings, width, c.patches->image_size / c.patches->patch_size)
                      : b.Table(name, c.max_position_embeddings, width, std);
  }
  if (c.type_vocab_size > 0) s->token_type = b.Table(at + "token_type.weight", c.type_vocab_size, width, std);
  if (c.embedding_norm) AddNorm(b, c, at + "embedding_norm", &s->embedding_norm_weight, &s->embedding_norm_bias);
  for (int64_t l = 0; l < c.num_hidden_layers; ++l) {
    s->layers.push_back(AddLayer(b, c, fmt::format("{}layers.{}.", at, l)));
  }
  if (c.final_norm) AddNorm(b, c, at + "final_norm", &s->final_norm_weight, &s->final_norm_bias);
}

}  // namespace

ParameterList::ParameterList(const ModelConfig& c) {
  Builder b(this);
  const double std = c.initializer_range;
  const int64_t width = c.hidden_size;
  int64_t features = 0;
  for (size_t t = 0; t < c.towers.size(); ++t) {
    AddStack(b, c.towers[t], fmt::format("towers.{}.", t), &towers.emplace_back());
    features += c.towers[t].hidden_size;
  }
  for (const int64_t out : c.projector) {
    const std::string at = fmt::format("projector.{}.", projector.size());
    const int weight = b.Matrix(at + "weight", out, features, FanInStd(features));
    projector.push_back({weight, b.Vector(at + "bias", out, Init::kZero)});
    features = out;
  }
  AddStack(b, c, "", this);
  if (c.head == Head::kNone) return;
  if (c.head == Head::kMaskedLm) {
    transform_weight = b.Matrix("transform.weight", width, width, std);
    transform_bias = b.Vector("transform.bias", width, Init::kZero);
    AddNorm(b, c, "transform_norm", &transform_norm_weight, &transform_norm_bias);
    head_bias = b.Vector("head.bias", c.vocab_size, Init::kZero);
  }
  head = c.tie_word_embeddings ? embedding : b.Matrix("head.weight", c.vocab_size, width, std);
}

namespace {

// Sines and cosines of row and column, as in "Better plain ViT baselines" (Beyer et al. 2022), at half their height and
// with periods that suit few patches: places are told apart, and neighbours alike, from the first step on.
float GridValue(const Parameter& p, int64_t element) {
  constexpr double kTemperature = 100, kHeight = 0.5;
  const int64_t patch = element / p.columns - (p.rows - p.grid * p.grid);
  const int64_t frequencies = p.columns / 4, column = element % p.columns,
                part = column / std::max<int64_t>(1, frequencies);
  if (patch < 0 || part > 3) return 0;
  const double share = static_cast<double>(column % frequencies) / static_cast<double>(frequencies);
  const auto at = static_cast<double>(part < 2 ? patch % p.grid : patch / p.grid);
  const double angle = at * Pow(kTemperature, -share);
  return static_cast<float>(kHeight * (part % 2 == 0 ? Sin(angle) : Cos(angle)));
}

}  // namespace

void InitializeParameter(const ParameterList& list, int parameter, uint64_t seed, int64_t first, std::span<float> out) {
  const Parameter& p = list.all[parameter];
  if (p.init == Init::kGrid) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = GridValue(p, first + static_cast<int64_t>(i));
    return;
  }
  if (p.init != Init::kNormal) {
    for (float& v : out) v = p.init == Init::kOne ? 1.0f : 0.0f;
    return;
  }
  FillNormal(seed, RandomStream::kInit, static_cast<uint32_t>(parameter), first, p.std, out);
}

void InitializeParameters(const ParameterList& list, uint64_t seed, std::span<float> flat) {
  KINETOK_CHECK(static_cast<int64_t>(flat.size()) == list.elements);
  for (size_t i = 0; i < list.all.size(); ++i) {
    const Parameter& p = list.all[i];
    InitializeParameter(list, static_cast<int>(i), seed, 0, flat.subspan(p.offset, p.elements()));
  }
}

}  // namespace kinetok
