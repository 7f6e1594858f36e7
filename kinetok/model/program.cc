#include "kinetok/model/program.h"

#include <algorithm>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

class Compiler {
 public:
  Compiler(const ModelConfig& config, const ParameterList& list, bool training)
      : model_(config), list_(list), training_(training) {}

  Program Run(Program::Part part) {
    if (part != Program::Part::kDecoder && !model_.towers.empty()) Vision();
    if (part != Program::Part::kVision) Decoder();
    return std::move(program_);
  }

 private:
  void Vision() {
    std::vector<int> features;
    int first_layer = static_cast<int>(model_.num_hidden_layers);
    for (size_t t = 0; t < model_.towers.size(); ++t) {
      const int stack = 1 + static_cast<int>(t);
      Enter(stack, RowKind::kPatches);
      program_.pixels.push_back(Buffer("pixels", c_->patches->PatchWidth()));
      program_.buffers.back().first_use = 0;  // written by the caller, before the first step
      const StackParameters& p = list_.towers[t];
      const int patches = Linear("patches", program_.pixels.back(), p.patch_weight, p.patch_bias);
      Enter(stack, RowKind::Tower(static_cast<int>(t)));
      features.push_back(Stack(p, patches, first_layer));
      first_layer += static_cast<int>(p.layers.size());
    }
    Enter(0, RowKind::kPatches);
    const bool two = features.size() > 1;
    int64_t width = 0;
    for (const int f : features) width += program_.buffers[f].width;
    int x = Buffer("features", width);
    Emit({.op = Op::kFeatures, .in = features[0], .in2 = two ? features[1] : -1, .out = x});
    for (size_t i = 0; i < list_.projector.size(); ++i) {
      if (i > 0) x = Activate(x, program_.buffers[x].width, Activation::kGeluErf);
      x = Linear("projected", x, list_.projector[i].weight, list_.projector[i].bias);
    }
    program_.features = x;
  }

  void Decoder() {
    Enter(0, RowKind::kDecoder);
    program_.decoder_embed = static_cast<int>(program_.steps.size());
    int x = Stack(list_, program_.features, 0);
    program_.hidden = x;
    if (c_->head == Head::kMaskedLm) {
      x = Activate(Linear("transform", x, list_.transform_weight, list_.transform_bias), c_->hidden_size,
                   c_->activation);
      x = NormStep("transform_norm", x, list_.transform_norm_weight, list_.transform_norm_bias);
    }
    program_.output = x;
    program_.head = list_.head;
    program_.head_bias = list_.head_bias;
  }

  // The steps that follow work on rows of this kind by this stack's configuration.
  void Enter(int stack, int rows) {
    stack_ = stack;
    rows_ = rows;
    c_ = stack == 0 ? &model_ : &model_.towers[stack - 1];
  }

  // From the embedding to the final norm.
  int Stack(const StackParameters& p, int embeddings, int first_layer) {
    int x = Buffer("embedded", c_->hidden_size);
    Emit({.op = Op::kEmbed,
          .in = embeddings,
          .out = x,
          .weight = p.embedding,
          .bias = p.position,
          .weight2 = p.token_type});
    if (c_->embedding_norm) x = NormStep("embedding_norm", x, p.embedding_norm_weight, p.embedding_norm_bias);
    x = Dropout(x, c_->embd_pdrop);
    for (size_t l = 0; l < p.layers.size(); ++l) {
      layer_ = first_layer + static_cast<int>(l);
      program_.layers = std::max(program_.layers, layer_ + 1);
      x = Layer(x, p.layers[l]);
    }
    layer_ = -1;
    return c_->final_norm ? NormStep("final_norm", x, p.final_norm_weight, p.final_norm_bias) : x;
  }

  int Buffer(std::string name, int64_t width) {
    program_.buffers.push_back({std::move(name), width, rows_, layer_, static_cast<int>(program_.steps.size()), 0});
    return static_cast<int>(program_.buffers.size()) - 1;
  }

  void Emit(Step step) {
    step.layer = layer_;
    step.stack = stack_;
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
      if (c_->norm == Norm::kLayer) s.statistics2 = Buffer(name + ".mean", 1);
    }
    s.out = Buffer(std::move(name), c_->hidden_size);
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
    const int out = Buffer("residual", c_->hidden_size);
    Emit({.op = Op::kAdd, .in = a, .in2 = b, .out = out});
    return out;
  }

  int Attention(int qkv) {
    if (c_->position == Position::kRope) Emit({.op = Op::kRope, .in = qkv});
    Step s{.op = Op::kAttention, .in = qkv};
    if (training_) {
      s.statistics = Buffer("log_sum", c_->num_attention_heads);
      s.dropout = c_->attn_pdrop;
      s.dropout_site = sites_++;
    }
    s.out = Buffer("attended", c_->num_attention_heads * c_->head_dim);
    Emit(s);
    return s.out;
  }

  int Activate(int in, int64_t width, Activation activation) {
    const int out = Buffer("activated", width);
    Emit({.op = Op::kActivate, .in = in, .out = out, .activation = activation});
    return out;
  }

  int SwiGlu(int in, int64_t width) {
    const int out = Buffer("activated", width);
    Emit({.op = Op::kSwiGlu, .in = in, .out = out});
    return out;
  }

  int Scale(int in, int weight) {
    if (weight < 0) return in;
    const int out = Buffer("scaled", c_->hidden_size);
    Emit({.op = Op::kScale, .in = in, .out = out, .weight = weight});
    return out;
  }

  int AttentionHalf(int x, const LayerParameters& p) {
    const int attended = Attention(Linear("qkv", x, p.qkv_weight, p.qkv_bias));
    return Dropout(Scale(Linear("attention_out", attended, p.out_weight, p.out_bias), p.scale1), c_->resid_pdrop);
  }

  int MlpHalf(int x, const LayerParameters& p) {
    const int up = Linear("up", x, p.up_weight, p.up_bias);
    const int64_t width = c_->intermediate_size;
    const int hidden = c_->gated_mlp ? SwiGlu(up, width) : Activate(up, width, c_->activation);
    return Dropout(Scale(Linear("down", hidden, p.down_weight, p.down_bias), p.scale2), c_->resid_pdrop);
  }

  int Layer(int x, const LayerParameters& p) {
    const auto norm1 = [&](int in) { return NormStep("norm1", in, p.norm1_weight, p.norm1_bias); };
    const auto norm2 = [&](int in) { return NormStep("norm2", in, p.norm2_weight, p.norm2_bias); };
    if (c_->norm_place == NormPlace::kBefore) {
      x = Add(x, AttentionHalf(norm1(x), p));
      return Add(x, MlpHalf(norm2(x), p));
    }
    x = norm1(Add(x, AttentionHalf(x, p)));
    return norm2(Add(x, MlpHalf(x, p)));
  }

  const ModelConfig& model_;
  const ParameterList& list_;
  bool training_;
  const ModelConfig* c_ = nullptr;  // of the stack at hand
  int stack_ = 0, rows_ = RowKind::kDecoder;
  int layer_ = -1;
  uint32_t sites_ = 0;
  Program program_;
};

}  // namespace

Program Program::Compile(const ModelConfig& config, const ParameterList& list, bool training, Part part) {
  return Compiler(config, list, training).Run(part);
}

}  // namespace kinetok
