#include "kinetok/model/training_pass.h"

#include <algorithm>
#include <vector>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/kernels/cross_entropy.h"
#include "kinetok/kernels/embedding.h"
#include "kinetok/kernels/gemm.h"
#include "kinetok/model/steps.h"
#include "kinetok/model/training_plan.h"
#include "kinetok/tensor/buffer.h"

namespace kinetok {
namespace {

// Flat parameters (or gradients) as views by parameter.
template <class T>
Rows<T> ParameterRows(const Parameter& p, std::span<T> flat) {
  T* data = flat.data() + p.offset;
  return p.is_matrix() ? Rows<T>(data, p.rows, p.columns) : Rows<T>(data, 1, p.rows);
}

void CheckBatch(const ModelConfig& config, const TrainingPassOptions& options, const TrainingBatch& batch) {
  const size_t rows = batch.tokens.size();
  KINETOK_CHECK(batch.labels.size() == rows && batch.sample_keys.size() == batch.lengths.size());
  KINETOK_CHECK(static_cast<int64_t>(rows) <= options.max_rows);
  KINETOK_CHECK(static_cast<int64_t>(batch.lengths.size()) <= options.max_sequences);
  int64_t sum = 0;
  for (const int32_t n : batch.lengths) {
    KINETOK_CHECK(n > 0 && n <= options.max_length);
    sum += n;
  }
  KINETOK_CHECK(sum == static_cast<int64_t>(rows));
  for (size_t i = 0; i < rows; ++i) {
    if (batch.tokens[i] < 0 || batch.tokens[i] >= config.vocab_size) {
      Fail("training token {} is outside the vocabulary of {}", batch.tokens[i], config.vocab_size);
    }
    if (batch.labels[i] >= config.vocab_size) {
      Fail("training label {} is outside the vocabulary of {}", batch.labels[i], config.vocab_size);
    }
  }
}

}  // namespace

struct TrainingPass::State {
  State(const ModelConfig& model, const ParameterList& parameters, const TrainingPassOptions& pass)
      : config(model),
        list(parameters),
        options(pass),
        program(Program::Compile(Undropped(model, pass), parameters, pass.backward)),
        plan(config, program, pass) {
    RequireNextToken(config, "training");
    KINETOK_CHECK(pass.max_rows > 0 && pass.max_sequences > 0 && pass.max_length > 0 && pass.step_rows >= 0);
    if (config.position == Position::kRope) rope = MakeRopeTable(config, pass.max_length);
  }

  static ModelConfig Undropped(ModelConfig c, const TrainingPassOptions& pass) {
    if (!pass.dropout) c.embd_pdrop = c.attn_pdrop = c.resid_pdrop = 0;
    return c;
  }

  float* At(int arena_buffer) const { return arena.As<float>().data() + plan.arena.offset(arena_buffer); }

  void Bind(std::span<const float> weights, const TrainingBatch& batch, uint64_t step);
  void BindKv(const TrainingBatch& batch);
  void BindGradients(std::span<float> gradients);
  void Loss(Context& context, const TrainingBatch& batch, std::span<float> losses, bool backward);
  void KeepEmbeddingGradient();

  ModelConfig config;
  ParameterList list;
  TrainingPassOptions options;
  Program program;
  TrainingPlan plan;
  RopeTable rope;
  Buffer arena;  // allocated by the first pass

  // Of the current batch.
  int64_t rows = 0;
  StepContext c;
  GradientContext g;
  std::vector<ParameterView> parameter_views;
  std::vector<int32_t> positions;
  std::vector<uint64_t> keys;
  std::vector<std::vector<AttentionRow>> layer_rows;  // by layer; layers with the same mask repeat it
  std::vector<float*> pages;
  std::vector<float* const*> tables;

  // The embeddings' gradients wait for Finish: a tied head's share comes first, for every sample.
  std::vector<int32_t> kept_tokens, kept_positions;
  std::vector<float> kept_gradients;
};

void TrainingPass::State::Bind(std::span<const float> weights, const TrainingBatch& batch, uint64_t step) {
  CheckBatch(config, options, batch);
  KINETOK_CHECK(static_cast<int64_t>(weights.size()) == list.elements);
  if (arena.bytes() == 0) arena = Buffer(plan.arena.total_floats() * 4);
  rows = static_cast<int64_t>(batch.tokens.size());
  parameter_views.clear();
  for (const Parameter& p : list.all) parameter_views.push_back({nullptr, ParameterRows(p, weights)});

  positions.clear();
  keys.clear();
  layer_rows.assign(config.num_hidden_layers, {});
  for (size_t s = 0; s < batch.lengths.size(); ++s) {
    const int32_t n = batch.lengths[s];
    for (int32_t p = 0; p < n; ++p) {
      positions.push_back(p);
      keys.push_back((batch.sample_keys[s] << 24) | static_cast<uint64_t>(p));
      for (int64_t l = 0; l < config.num_hidden_layers; ++l) {
        layer_rows[l].push_back(VisibleRow(config.LayerMask(l), static_cast<int32_t>(s), p, n));
      }
    }
  }
  c = {};
  c.config = &config;
  c.program = &program;
  c.parameters = parameter_views;
  c.rope = &rope;
  c.tokens = batch.tokens;
  c.positions = positions;
  for (const auto& r : layer_rows) c.attention_rows.emplace_back(r);
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    c.buffers.emplace_back(At(plan.values[b]), rows, program.buffers[b].width);
  }
  c.dropout.seed = options.dropout_seed;
  c.dropout.step = step;
  c.dropout_keys = keys;
  BindKv(batch);
}

void TrainingPass::State::BindKv(const TrainingBatch& batch) {
  const int64_t page = KvPageFloats(config.num_key_value_heads, config.head_dim);
  const auto sequences = static_cast<int64_t>(batch.lengths.size());
  pages.clear();
  tables.clear();
  for (int64_t l = 0; l < config.num_hidden_layers; ++l) {
    for (int64_t p = 0; p < plan.kv_pages; ++p) pages.push_back(At(plan.kv[l]) + p * page);
  }
  for (int64_t l = 0; l < config.num_hidden_layers; ++l) {
    int64_t first = l * plan.kv_pages;
    for (int64_t s = 0; s < sequences; ++s) {
      tables.push_back(pages.data() + first);
      first += CeilDiv(batch.lengths[s], kKeyBlock);
    }
  }
  for (int64_t l = 0; l < config.num_hidden_layers; ++l) {
    c.kv.push_back({Span<float* const* const>(tables).subspan(l * sequences, sequences), config.num_key_value_heads,
                    config.head_dim});
  }
}

void TrainingPass::State::BindGradients(std::span<float> gradients) {
  KINETOK_CHECK(static_cast<int64_t>(gradients.size()) == list.elements);
  g = {};
  g.shared = plan.shared;
  g.written.assign(program.buffers.size(), false);
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    const int buffer = plan.gradients[plan.shared[b]];
    g.buffers.push_back(buffer < 0 ? Rows<float>() : Rows<float>(At(buffer), rows, program.buffers[b].width));
  }
  for (const Parameter& p : list.all) g.parameters.push_back(ParameterRows(p, gradients));
}

void TrainingPass::State::Loss(Context& context, const TrainingBatch& batch, std::span<float> losses, bool backward) {
  const Rows<const float> x = c.buffers[program.output], head = c.parameters[program.head].plain;
  for (int64_t first = 0; first < rows; first += plan.chunk_rows) {
    const int64_t n = std::min(plan.chunk_rows, rows - first);
    const Rows<float> logits(At(plan.logits), n, config.vocab_size);
    LinearForward(context, x.Slice(first, n), head, {}, logits);
    const auto weights = backward ? batch.weights.subspan(first, n) : std::span<const float>();
    CrossEntropy(context, batch.labels.subspan(first, n), weights, logits, losses.subspan(first, n));
    if (!backward) continue;
    LinearBackwardWeight(context, logits, x.Slice(first, n), g.parameters[program.head], {});
    LinearBackwardInput(context, logits, head, false, g.buffers[program.output].Slice(first, n));
  }
  if (backward) g.written[g.shared[program.output]] = true;
}

void TrainingPass::State::KeepEmbeddingGradient() {
  const Rows<float> d = g.buffers[program.steps[0].out];
  const int64_t step_rows = options.step_rows > 0 ? options.step_rows : options.max_rows;
  if (kept_gradients.capacity() == 0) {  // the first pass; Finish keeps the capacity
    kept_tokens.reserve(step_rows);
    kept_positions.reserve(step_rows);
    kept_gradients.reserve(step_rows * d.width);
  }
  kept_tokens.insert(kept_tokens.end(), c.tokens.begin(), c.tokens.end());
  kept_positions.insert(kept_positions.end(), positions.begin(), positions.end());
  kept_gradients.insert(kept_gradients.end(), d.data, d.data + rows * d.width);
}

TrainingPass::TrainingPass(const ModelConfig& config, const ParameterList& list, const TrainingPassOptions& options)
    : state_(std::make_unique<State>(config, list, options)) {}
TrainingPass::~TrainingPass() = default;

int64_t TrainingPass::activation_bytes() const {
  return state_->plan.arena.total_floats() * 4;
}

void TrainingPass::Forward(Context& context, std::span<const float> weights, const TrainingBatch& batch,
                           std::span<float> losses) {
  State& s = *state_;
  KINETOK_CHECK(losses.size() == batch.tokens.size());
  s.Bind(weights, batch, 0);
  for (const PassEvent& e : s.plan.events) {
    if (e.kind == PassEvent::Kind::kForward) ForwardStep(context, s.c, s.program.steps[e.step]);
    if (e.kind == PassEvent::Kind::kLoss) return s.Loss(context, batch, losses, false);
  }
}

void TrainingPass::ForwardBackward(Context& context, std::span<const float> weights, const TrainingBatch& batch,
                                   uint64_t step, std::span<float> losses, std::span<float> gradients) {
  State& s = *state_;
  KINETOK_CHECK(s.options.backward);
  KINETOK_CHECK(losses.size() == batch.tokens.size() && batch.weights.size() == batch.tokens.size());
  s.Bind(weights, batch, step);
  s.BindGradients(gradients);
  for (const PassEvent& e : s.plan.events) {
    switch (e.kind) {
      case PassEvent::Kind::kForward:
      case PassEvent::Kind::kRecompute:
        ForwardStep(context, s.c, s.program.steps[e.step]);
        break;
      case PassEvent::Kind::kLoss:
        s.Loss(context, batch, losses, true);
        break;
      case PassEvent::Kind::kBackward:
        BackwardStep(context, s.c, s.g, s.program.steps[e.step]);
        break;
    }
  }
  s.KeepEmbeddingGradient();
}

void TrainingPass::Finish(Context& context, std::span<float> gradients) {
  State& s = *state_;
  const Step& embed = s.program.steps[0];
  const int64_t width = s.config.hidden_size;
  const Rows<const float> d(s.kept_gradients.data(), static_cast<int64_t>(s.kept_tokens.size()), width);
  EmbedBackward(context, s.kept_tokens, d, ParameterRows(s.list.all[embed.weight], gradients));
  if (embed.bias >= 0) EmbedBackward(context, s.kept_positions, d, ParameterRows(s.list.all[embed.bias], gradients));
  s.kept_tokens.clear();
  s.kept_positions.clear();
  s.kept_gradients.clear();
}

}  // namespace kinetok
