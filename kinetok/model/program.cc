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
    Emit({.op = Op::kEmbed, .out = x, .weight = list_.embedding, .bias = list_.position});
    x = Dropout(x, c_.embd_pdrop);
    for (layer_ = 0; layer_ < static_cast<int>(list_.layers.size()); ++layer_) x = Layer(x, list_.layers[layer_]);
    layer_ = -1;
    program_.output = NormStep("final_norm", x, list_.final_norm_weight, list_.final_norm_bias);
    program_.head = list_.head;
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

  int MlpActivation(int up) {
    const int out = Buffer("activated", c_.intermediate_size);
    Emit({.op = c_.gated_mlp ? Op::kSwiGlu : Op::kActivate, .in = up, .out = out});
    return out;
  }

  int Layer(int x, const LayerParameters& p) {
    const int normed = NormStep("norm1", x, p.norm1_weight, p.norm1_bias);
    const int attended = Attention(Linear("qkv", normed, p.qkv_weight, p.qkv_bias));
    x = Add(x, Dropout(Linear("attention_out", attended, p.out_weight, p.out_bias), c_.resid_pdrop));
    const int normed2 = NormStep("norm2", x, p.norm2_weight, p.norm2_bias);
    const int hidden = MlpActivation(Linear("up", normed2, p.up_weight, p.up_bias));
    return Add(x, Dropout(Linear("down", hidden, p.down_weight, p.down_bias), c_.resid_pdrop));
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
