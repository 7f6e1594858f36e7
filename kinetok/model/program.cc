#include "kinetok/model/program.h"

#include <algorithm>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

class Compiler {
 public:
  Compiler(const ModelConfig& config, const ParameterList& list, bool training)
      : c_(config), list_(list), training_(training) {}

  Program Run() {
    int x = Buffer("embedded", c_.hidden_size);
    Emit({.op = Op::kEmbed, .out = x, .weight = list_.embedding, .bias = list_.position, .weight2 = list_.token_type});
    if (c_.embedding_norm) x = NormStep("embedding_norm", x, list_.embedding_norm_weight, list_.embedding_norm_bias);
    x = Dropout(x, c_.embd_pdrop);
    for (layer_ = 0; layer_ < static_cast<int>(list_.layers.size()); ++layer_) x = Layer(x, list_.layers[layer_]);
    layer_ = -1;
    if (c_.final_norm) x = NormStep("final_norm", x, list_.final_norm_weight, list_.final_norm_bias);
    program_.hidden = x;
    if (c_.head == Head::kMaskedLm) {
      x = Activate(Linear("transform", x, list_.transform_weight, list_.transform_bias), c_.hidden_size);
      x = NormStep("transform_norm", x, list_.transform_norm_weight, list_.transform_norm_bias);
    }
    program_.output = x;
    program_.head = list_.head;
    program_.head_bias = list_.head_bias;
    return std::move(program_);
  }

 private:
  int Buffer(std::string name, int64_t width) {
    program_.buffers.push_back({std::move(name), width, layer_, static_cast<int>(program_.steps.size()), 0});
    return static_cast<int>(program_.buffers.size()) - 1;
  }

  void Emit(Step step) {
    step.layer = layer_;
    const int at = static_cast<int>(program_.steps.size());
    for (const int b : {step.in, step.in2, step.out, step.statistics, step.statistics2}) {
      if (b >= 0) program_.buffers[b].last_use = std::max(program_.buffers[b].last_use, at);
    }
    program_.steps.push_back(step);
  }

  int NormStep(std::string name, int in, int weight, int bias) {
    Step s{.op = Op::kNorm, .in = in, .weight = weight, .bias = bias};
    if (training_) {
      s.statistics = Buffer(name + ".inv_std", 1);
      if (c_.norm == Norm::kLayer) s.statistics2 = Buffer(name + ".mean", 1);
    }
    s.out = Buffer(std::move(name), c_.hidden_size);
    Emit(s);
    return s.out;
  }

  int Linear(std::string name, int in, int weight, int bias) {
    const int out = Buffer(std::move(name), list_.all[weight].rows);
    Emit({.op = Op::kLinear, .in = in, .out = out, .weight = weight, .bias = bias});
    return out;
  }

  int Dropout(int in, double p) {
    if (!training_ || p == 0) return in;
    const int out = Buffer("dropped", program_.buffers[in].width);
    Emit({.op = Op::kDropout, .in = in, .out = out, .dropout = p, .dropout_site = sites_++});
    return out;
  }

  int Add(int a, int b) {
    const int out = Buffer("residual", c_.hidden_size);
    Emit({.op = Op::kAdd, .in = a, .in2 = b, .out = out});
    return out;
  }

  int Attention(int qkv) {
    if (c_.position == Position::kRope) Emit({.op = Op::kRope, .in = qkv});
    Step s{.op = Op::kAttention, .in = qkv};
    if (training_) {
      s.statistics = Buffer("log_sum", c_.num_attention_heads);
      s.dropout = c_.attn_pdrop;
      s.dropout_site = sites_++;
    }
    s.out = Buffer("attended", c_.num_attention_heads * c_.head_dim);
    Emit(s);
    return s.out;
  }

  int Activate(int in, int64_t width, Op op = Op::kActivate) {
    const int out = Buffer("activated", width);
    Emit({.op = op, .in = in, .out = out});
    return out;
  }

  int AttentionHalf(int x, const LayerParameters& p) {
    const int attended = Attention(Linear("qkv", x, p.qkv_weight, p.qkv_bias));
    return Dropout(Linear("attention_out", attended, p.out_weight, p.out_bias), c_.resid_pdrop);
  }

  int MlpHalf(int x, const LayerParameters& p) {
    const int up = Linear("up", x, p.up_weight, p.up_bias);
    const int hidden = Activate(up, c_.intermediate_size, c_.gated_mlp ? Op::kSwiGlu : Op::kActivate);
    return Dropout(Linear("down", hidden, p.down_weight, p.down_bias), c_.resid_pdrop);
  }

  int Layer(int x, const LayerParameters& p) {
    const auto norm1 = [&](int in) { return NormStep("norm1", in, p.norm1_weight, p.norm1_bias); };
    const auto norm2 = [&](int in) { return NormStep("norm2", in, p.norm2_weight, p.norm2_bias); };
    if (c_.norm_place == NormPlace::kBefore) {
      x = Add(x, AttentionHalf(norm1(x), p));
      return Add(x, MlpHalf(norm2(x), p));
    }
    x = norm1(Add(x, AttentionHalf(x, p)));
    return norm2(Add(x, MlpHalf(x, p)));
  }

  const ModelConfig& c_;
  const ParameterList& list_;
  bool training_;
  int layer_ = -1;
  uint32_t sites_ = 0;
  Program program_;
};

}  // namespace

Program Program::Compile(const ModelConfig& config, const ParameterList& list, bool training) {
  return Compiler(config, list, training).Run();
}

}  // namespace kinetok
