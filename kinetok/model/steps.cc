#include "kinetok/model/steps.h"

#include <algorithm>
#include <cmath>

#include "kinetok/base/error.h"
#include "kinetok/kernels/activation.h"
#include "kinetok/kernels/elementwise.h"
#include "kinetok/kernels/embedding.h"
#include "kinetok/kernels/gemm.h"
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

void RotateQk(Context& context, const StepContext& c, bool inverse, Rows<float> fused) {
  const Qkv x(*c.config, fused);
  Rope(context, *c.rope, c.positions, c.config->num_attention_heads, c.config->head_dim, inverse, x.q);
  Rope(context, *c.rope, c.positions, c.config->num_key_value_heads, c.config->head_dim, inverse, x.k);
}

AttentionOptions MakeAttentionOptions(const StepContext& c, const Step& step) {
  AttentionOptions o;
  o.heads = c.config->num_attention_heads;
  o.scale = AttentionScale(*c.config);
  o.dropout = c.dropout;
  o.dropout.p = static_cast<float>(step.dropout);
  o.dropout.site = step.dropout_site;
  o.dropout_keys = c.dropout_keys;
  return o;
}

void EmbedStep(Context& context, const StepContext& c, const Step& s) {
  const ParameterView& table = c.parameters[s.weight];
  Rows<float> out = c.buffers[s.out];
  if (table.packed != nullptr) {
    Embed(context, c.tokens, *table.packed, out);
  } else {
    Embed(context, c.tokens, table.plain, out);
  }
  const auto add = [](const float* x, Rows<float> to, int64_t row) {
    for (int64_t j = 0; j < to.width; ++j) to[row][j] += x[j];
  };
  for (int64_t i = 0; i < out.rows; ++i) {
    if (s.weight2 >= 0) add(c.parameters[s.weight2].plain[0], out, i);
    if (s.bias >= 0) add(c.parameters[s.bias].plain[c.positions[i]], out, i);
  }
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
  const auto eps = static_cast<float>(c.config->norm_eps);
  switch (s.op) {
    case Op::kEmbed:
      return EmbedStep(context, c, s);
    case Op::kNorm:
      if (c.config->norm == Norm::kLayer) {
        return LayerNorm(context, c.buffers[s.in], OptionalVector(c, s.weight), OptionalVector(c, s.bias), eps,
                         c.buffers[s.out], OptionalColumn(c, s.statistics2), OptionalColumn(c, s.statistics));
      }
      return RmsNorm(context, c.buffers[s.in], OptionalVector(c, s.weight), eps, c.buffers[s.out],
                     OptionalColumn(c, s.statistics));
    case Op::kLinear: {
      const ParameterView& w = c.parameters[s.weight];
      if (w.packed != nullptr) {
        return MatMul(context, c.buffers[s.in], *w.packed, OptionalVector(c, s.bias), c.buffers[s.out]);
      }
      return LinearForward(context, c.buffers[s.in], w.plain, OptionalVector(c, s.bias), c.buffers[s.out]);
    }
    case Op::kRope:
      return RotateQk(context, c, false, c.buffers[s.in]);
    case Op::kAttention: {
      const Qkv x(*c.config, c.buffers[s.in]);
      WriteKv(context, c.attention_rows[s.layer], x.k, x.v, c.kv[s.layer]);
      return Attention(context, MakeAttentionOptions(c, s), c.attention_rows[s.layer], x.q, c.kv[s.layer],
                       c.buffers[s.out], s.statistics < 0 ? Rows<float>() : c.buffers[s.statistics]);
    }
    case Op::kActivate:
      return Activate(context, c.config->activation, c.buffers[s.in], c.buffers[s.out]);
    case Op::kSwiGlu:
      return SwiGlu(context, c.buffers[s.in], c.buffers[s.out]);
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
  switch (s.op) {
    case Op::kEmbed:
      return;  // deferred: see TrainingPass::Finish
    case Op::kNorm: {
      const bool add = accumulate(s.in);
      if (c.config->norm == Norm::kLayer) {
        return LayerNormBackward(context, g.buffers[s.out], c.buffers[s.in], OptionalVector(c, s.weight),
                                 Column(c.buffers[s.statistics2]), Column(c.buffers[s.statistics]), add,
                                 g.buffers[s.in], vector(s.weight), vector(s.bias));
      }
      return RmsNormBackward(context, g.buffers[s.out], c.buffers[s.in], OptionalVector(c, s.weight),
                             Column(c.buffers[s.statistics]), add, g.buffers[s.in], vector(s.weight));
    }
    case Op::kLinear:
      LinearBackwardWeight(context, g.buffers[s.out], c.buffers[s.in], g.parameters[s.weight], vector(s.bias));
      return LinearBackwardInput(context, g.buffers[s.out], c.parameters[s.weight].plain, accumulate(s.in),
                                 g.buffers[s.in]);
    case Op::kRope:
      return RotateQk(context, c, true, g.buffers[s.in]);
    case Op::kAttention: {
      KINETOK_CHECK(!accumulate(s.in));
      const Qkv x(*c.config, c.buffers[s.in]), d(*c.config, g.buffers[s.in]);
      return AttentionBackward(context, MakeAttentionOptions(c, s), c.attention_rows[s.layer], x.q, c.kv[s.layer],
                               c.buffers[s.out], c.buffers[s.statistics], g.buffers[s.out], d.q, d.k, d.v);
    }
    case Op::kActivate:
      KINETOK_CHECK(!accumulate(s.in));
      return ActivateBackward(context, c.config->activation, g.buffers[s.out], c.buffers[s.in], g.buffers[s.in]);
    case Op::kSwiGlu:
      KINETOK_CHECK(!accumulate(s.in));
      return SwiGluBackward(context, g.buffers[s.out], c.buffers[s.in], g.buffers[s.in]);
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
