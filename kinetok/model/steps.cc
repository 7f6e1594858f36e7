#include "kinetok/model/steps.h"

#include <algorithm>
#include <cmath>

#include "kinetok/base/error.h"
#include "kinetok/kernels/activation.h"
#include "kinetok/kernels/elementwise.h"
#include "kinetok/kernels/embedding.h"
#include "kinetok/kernels/gemm.h"
#include "kinetok/kernels/layer_scale.h"
#include "kinetok/kernels/norm.h"

namespace kinetok {
namespace {

Span<float> Column(Rows<float> r) {
  return {r.data, static_cast<size_t>(r.rows)};
}
Span<float> OptionalColumn(const StepContext& c, int buffer) {
  return buffer < 0 ? Span<float>() : Column(c.buffers[buffer]);
}
Span<const float> OptionalVector(const StepContext& c, int parameter) {
  return parameter < 0 ? Span<const float>() : c.parameters[parameter].vector();
}

// The q, k and v columns of a fused projection.
struct Qkv {
  Rows<float> q, k, v;
  Qkv(const ModelConfig& c, Rows<float> fused) {
    const int64_t q_width = c.num_attention_heads * c.head_dim, kv_width = c.num_key_value_heads * c.head_dim;
    q = fused.Columns(0, q_width);
    k = fused.Columns(q_width, kv_width);
    v = fused.Columns(q_width + kv_width, kv_width);
  }
};

void RotateQk(Context& context, const StepContext& c, const Step& s, bool inverse, Rows<float> fused) {
  const ModelConfig& config = c.config(s);
  const Span<const int32_t> positions = c.stacks[s.stack].positions;
  const Qkv x(config, fused);
  Rope(context, *c.rope, positions, config.num_attention_heads, config.head_dim, inverse, x.q);
  Rope(context, *c.rope, positions, config.num_key_value_heads, config.head_dim, inverse, x.k);
}

AttentionOptions MakeAttentionOptions(const StepContext& c, const Step& step) {
  AttentionOptions o;
  o.heads = c.config(step).num_attention_heads;
  o.scale = AttentionScale(c.config(step));
  o.dropout = c.dropout;
  o.dropout.p = static_cast<float>(step.dropout);
  o.dropout.site = step.dropout_site;
  o.dropout_keys = c.dropout_keys;
  return o;
}

void EmbedStep(Context& context, const StepContext& c, const Step& s) {
  const StackRows& rows = c.stacks[s.stack];
  Rows<float> out = c.buffers[s.out];
  if (s.weight >= 0) {
    const ParameterView& table = c.parameters[s.weight];
    if (table.packed != nullptr) {
      Embed(context, rows.tokens, *table.packed, out);
    } else {
      Embed(context, rows.tokens, table.plain, out);
    }
  }
  const auto add = [](const float* x, Rows<float> to, int64_t row) {
    for (int64_t j = 0; j < to.width; ++j) to[row][j] += x[j];
  };
  for (int64_t i = 0; i < out.rows; ++i) {
    if (rows.tokens[i] < 0) std::copy_n(rows.embeddings[i], out.width, out[i]);
    if (s.weight2 >= 0) add(c.parameters[s.weight2].plain[0], out, i);
    if (s.bias >= 0 && rows.positions[i] >= 0) add(c.parameters[s.bias].plain[rows.positions[i]], out, i);
  }
}

// The rows of one image in a tower's output and in the features: prefix tokens are left out.
struct ImageRows {
  int64_t prefix, patches;
  explicit ImageRows(const ModelConfig& tower)
      : prefix(tower.patches->PrefixTokens()), patches(tower.patches->Patches()) {}
  int64_t Tower(int64_t feature) const { return feature / patches * (prefix + patches) + prefix + feature % patches; }
};

// Calls fn(tower's buffer, its rows, its columns in the features) for the towers of a kFeatures step.
template <class F>
void ForEachTower(const StepContext& c, const Step& s, F&& fn) {
  int64_t column = 0;
  int stack = 1;
  for (const int in : {s.in, s.in2}) {
    if (in < 0) continue;
    fn(in, ImageRows(*c.stacks[stack++].config), column);
    column += c.buffers[in].width;
  }
}

void FeaturesStep(const StepContext& c, const Step& s) {
  const Rows<float> out = c.buffers[s.out];
  ForEachTower(c, s, [&](int in, const ImageRows& image, int64_t column) {
    const Rows<float> x = c.buffers[in];
    for (int64_t i = 0; i < out.rows; ++i) std::copy_n(x[image.Tower(i)], x.width, out[i] + column);
  });
}

// The gradients of what kEmbed read; the decoder's own tables wait for TrainingPass::Finish.
void EmbedBackwardStep(Context& context, const StepContext& c, GradientContext& g, const Step& s) {
  const StackRows& rows = c.stacks[s.stack];
  const Rows<const float> dy = g.buffers[s.out];
  if (s.in >= 0) {
    const Rows<float> dx = g.buffers[s.in];
    std::fill_n(dx.data, dx.rows * dx.width, 0.0f);
    for (int64_t i = 0; i < dy.rows; ++i) {
      if (rows.tokens[i] < 0) std::copy_n(dy[i], dy.width, dx[(rows.embeddings[i] - c.buffers[s.in].data) / dx.width]);
    }
  }
  if (s.stack == 0) return;
  if (s.weight >= 0) EmbedBackward(context, rows.tokens, dy, g.parameters[s.weight]);
  EmbedBackward(context, rows.positions, dy, g.parameters[s.bias]);
}

}  // namespace

float AttentionScale(const ModelConfig& config) {
  return config.scale_attention ? static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.head_dim))) : 1.0f;
}

RopeTable MakeRopeTable(const ModelConfig& config, int64_t positions) {
  constexpr double kTwoPi = 6.283185307179586476925286766559;
  const RopeScaling& s = config.rope_scaling;
  std::vector<double> frequencies = RopeFrequencies(config.head_dim, config.rope_theta);
  for (double& f : frequencies) {
    if (s.kind == RopeScaling::Kind::kLinear) f /= s.factor;
    if (s.kind != RopeScaling::Kind::kLlama3) continue;
    // How often a pair turns within the original context decides what becomes of it.
    const double turns = static_cast<double>(s.original_max_position_embeddings) * f / kTwoPi;
    const double kept = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
    if (turns < s.low_freq_factor) {
      f /= s.factor;
    } else if (turns <= s.high_freq_factor) {
      f = (1 - kept) * f / s.factor + kept * f;
    }
  }
  return {positions, frequencies};
}

AttentionRow VisibleRow(const Mask& mask, int32_t sequence, int32_t position, int32_t length) {
  switch (mask.kind) {
    case Mask::Kind::kCausal:
      return {sequence, position, 0, position};
    case Mask::Kind::kBanded:
      return {sequence, position, static_cast<int32_t>(std::max<int64_t>(0, position - mask.window + 1)), position};
    case Mask::Kind::kFull:
      return {sequence, position, 0, length - 1};
  }
  KINETOK_CHECK(false);
  return {};
}

void ForwardStep(Context& context, const StepContext& c, const Step& s) {
  const ModelConfig& config = c.config(s);
  const auto eps = static_cast<float>(config.norm_eps);
  switch (s.op) {
    case Op::kEmbed:
      return EmbedStep(context, c, s);
    case Op::kNorm:
      if (config.norm == Norm::kLayer) {
        return LayerNorm(context, c.buffers[s.in], OptionalVector(c, s.weight), OptionalVector(c, s.bias), eps,
                         c.buffers[s.out], OptionalColumn(c, s.statistics2), OptionalColumn(c, s.statistics));
      }
      return RmsNorm(context, c.buffers[s.in], OptionalVector(c, s.weight), eps, c.buffers[s.out],
                     OptionalColumn(c, s.statistics));
    case Op::kLinear: {
      const ParameterView& w = c.parameters[s.weight];
      if (w.packed != nullptr) {
        MatMul(context, c.buffers[s.in], *w.packed, OptionalVector(c, s.bias), c.buffers[s.out]);
        if (w.low_rank != nullptr) AddLowRank(context, c.buffers[s.in], *w.low_rank, c.buffers[s.out]);
        return;
      }
      return LinearForward(context, c.buffers[s.in], w.plain, OptionalVector(c, s.bias), c.buffers[s.out]);
    }
    case Op::kRope:
      return RotateQk(context, c, s, false, c.buffers[s.in]);
    case Op::kAttention: {
      const Qkv x(config, c.buffers[s.in]);
      WriteKv(context, c.attention_rows[s.layer], x.k, x.v, c.kv[s.layer]);
      return Attention(context, MakeAttentionOptions(c, s), c.attention_rows[s.layer], x.q, c.kv[s.layer],
                       c.buffers[s.out], s.statistics < 0 ? Rows<float>() : c.buffers[s.statistics]);
    }
    case Op::kActivate:
      return Activate(context, s.activation, c.buffers[s.in], c.buffers[s.out]);
    case Op::kSwiGlu:
      return SwiGlu(context, c.buffers[s.in], c.buffers[s.out]);
    case Op::kScale:
      return LayerScale(context, c.buffers[s.in], OptionalVector(c, s.weight), c.buffers[s.out]);
    case Op::kFeatures:
      return FeaturesStep(c, s);
    case Op::kAdd:
      return Add(context, c.buffers[s.in], c.buffers[s.in2], c.buffers[s.out]);
    case Op::kDropout: {
      DropoutSite site = c.dropout;
      site.p = static_cast<float>(s.dropout);
      site.site = s.dropout_site;
      return Dropout(context, site, c.dropout_keys, c.buffers[s.in], c.buffers[s.out]);
    }
  }
  KINETOK_CHECK(false);
}

void BackwardStep(Context& context, const StepContext& c, GradientContext& g, const Step& s) {
  // Whether `in`'s gradient already holds another consumer's share; it does from now on.
  const auto accumulate = [&](int buffer) {
    const bool before = g.written[g.shared[buffer]];
    g.written[g.shared[buffer]] = true;
    return before;
  };
  const auto vector = [&](int parameter) {
    return parameter < 0
               ? Span<float>()
               : Span<float>(g.parameters[parameter].data, static_cast<size_t>(g.parameters[parameter].width));
  };
  const ModelConfig& config = c.config(s);
  switch (s.op) {
    case Op::kEmbed:
      KINETOK_CHECK(s.in < 0 || !accumulate(s.in));
      return EmbedBackwardStep(context, c, g, s);
    case Op::kNorm: {
      const bool add = accumulate(s.in);
      if (config.norm == Norm::kLayer) {
        return LayerNormBackward(context, g.buffers[s.out], c.buffers[s.in], OptionalVector(c, s.weight),
                                 Column(c.buffers[s.statistics2]), Column(c.buffers[s.statistics]), add,
                                 g.buffers[s.in], vector(s.weight), vector(s.bias));
      }
      return RmsNormBackward(context, g.buffers[s.out], c.buffers[s.in], OptionalVector(c, s.weight),
                             Column(c.buffers[s.statistics]), add, g.buffers[s.in], vector(s.weight));
    }
    case Op::kLinear:
      LinearBackwardWeight(context, g.buffers[s.out], c.buffers[s.in], g.parameters[s.weight], vector(s.bias));
      if (g.buffers[s.in].data == nullptr) return;  // the pixels of images
      return LinearBackwardInput(context, g.buffers[s.out], c.parameters[s.weight].plain, accumulate(s.in),
                                 g.buffers[s.in]);
    case Op::kRope:
      return RotateQk(context, c, s, true, g.buffers[s.in]);
    case Op::kAttention: {
      KINETOK_CHECK(!accumulate(s.in));
      const Qkv x(config, c.buffers[s.in]), d(config, g.buffers[s.in]);
      return AttentionBackward(context, MakeAttentionOptions(c, s), c.attention_rows[s.layer], x.q, c.kv[s.layer],
                               c.buffers[s.out], c.buffers[s.statistics], g.buffers[s.out], d.q, d.k, d.v);
    }
    case Op::kActivate:
      KINETOK_CHECK(!accumulate(s.in));
      return ActivateBackward(context, s.activation, g.buffers[s.out], c.buffers[s.in], g.buffers[s.in]);
    case Op::kSwiGlu:
      KINETOK_CHECK(!accumulate(s.in));
      return SwiGluBackward(context, g.buffers[s.out], c.buffers[s.in], g.buffers[s.in]);
    case Op::kScale:
      KINETOK_CHECK(!accumulate(s.in));
      return LayerScaleBackward(context, g.buffers[s.out], c.buffers[s.in], OptionalVector(c, s.weight),
                                g.buffers[s.in], vector(s.weight));
    case Op::kFeatures:
      return ForEachTower(c, s, [&](int in, const ImageRows& image, int64_t column) {
        KINETOK_CHECK(!accumulate(in));
        const Rows<float> dy = g.buffers[s.out], dx = g.buffers[in];
        std::fill_n(dx.data, dx.rows * dx.width, 0.0f);
        for (int64_t i = 0; i < dy.rows; ++i) std::copy_n(dy[i] + column, dx.width, dx[image.Tower(i)]);
      });
    case Op::kAdd:
      return;  // both inputs share the output's gradient
    case Op::kDropout: {
      DropoutSite site = c.dropout;
      site.p = static_cast<float>(s.dropout);
      site.site = s.dropout_site;
      if (!accumulate(s.in)) return Dropout(context, site, c.dropout_keys, g.buffers[s.out], g.buffers[s.in]);
      KINETOK_CHECK(false);
    }
  }
  KINETOK_CHECK(false);
}

}  // namespace kinetok
