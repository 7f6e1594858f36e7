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
#include "kinetok/model/vision.h"
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
  int64_t patches = 0;
  for (size_t i = 0; i < rows; ++i) {
    patches += batch.tokens[i] == -1 ? 1 : 0;
    if (batch.tokens[i] < -1 || batch.tokens[i] >= config.vocab_size) {
      Fail("training token {} is outside the vocabulary of {}", batch.tokens[i], config.vocab_size);
    }
    if (batch.labels[i] >= config.vocab_size) {
      Fail("training label {} is outside the vocabulary of {}", batch.labels[i], config.vocab_size);
    }
  }
  const int64_t images = ImagesIn(config, batch.pixels);
  KINETOK_CHECK(images <= options.max_images);
  if (patches != images * config.ImagePatches()) {
    Fail("a training batch of {} images has {} rows for patches, expected {}", images, patches,
         images * config.ImagePatches());
  }
}

}  // namespace

struct TrainingPass::State {
  State(const ModelConfig& model, const ParameterList& parameters, const TrainingPassOptions& pass)
      : config(model),
        list(parameters),
        options(pass),
        program(Program::Compile(Undropped(model, pass), parameters, pass.backward, Program::Part::kAll)),
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
  void BindImages(const TrainingBatch& batch);
  void BindKv(const TrainingBatch& batch);
  void BindGradients(std::span<float> gradients);
  void Loss(Context& context, const TrainingBatch& batch, std::span<float> losses, std::span<int32_t> predictions,
            bool backward);
  // What the head sees: the rows that have a label, one after the other.
  struct Labelled {
    Rows<const float> x{};
    Rows<float> dx{};
    std::span<const int32_t> labels{};
    std::span<const float> weights{};
    std::span<float> losses{};
    std::span<int32_t> predictions{};
  };
  Labelled Gather(Context& context, const TrainingBatch& batch);
  void Scatter(Context& context, const Labelled& from, std::span<float> losses, std::span<int32_t> predictions,
               bool backward);
  void KeepEmbeddingGradient();

  ModelConfig config;
  ParameterList list;
  TrainingPassOptions options;
  Program program;
  TrainingPlan plan;
  RopeTable rope;
  Buffer arena;  // allocated by the first pass

  // Of the current batch.
  int64_t rows = 0, images = 0;
  StepContext c;
  GradientContext g;
  std::vector<ParameterView> parameter_views;
  std::vector<int32_t> positions;
  std::vector<uint64_t> keys;
  std::vector<std::vector<AttentionRow>> layer_rows;  // by layer; layers with the same mask repeat it
  std::vector<TowerRows> towers;
  std::vector<const float*> embeddings;
  std::vector<float*> pages;
  std::vector<float* const*> tables;

  std::vector<int64_t> labelled;  // rows that have a label
  std::vector<float> gathered_rows, gathered_weights, gathered_losses;
  std::vector<int32_t> gathered_labels, gathered_predictions;

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
  for (const Parameter& p : list.all) parameter_views.push_back({.plain = ParameterRows(p, weights)});

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
  c.program = &program;
  c.parameters = parameter_views;
  c.rope = &rope;
  c.dropout.seed = options.dropout_seed;
  c.dropout.step = step;
  c.dropout_keys = keys;
  for (const auto& r : layer_rows) c.attention_rows.emplace_back(r);
  images = ImagesIn(config, batch.pixels);
  const std::vector<int64_t> counts = RowCounts(config, rows, images);
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    c.buffers.emplace_back(At(plan.values[b]), counts[program.buffers[b].rows], program.buffers[b].width);
  }
  c.stacks.push_back({&config, batch.tokens, positions, {}});
  if (!config.towers.empty()) BindImages(batch);
  BindKv(batch);
}

void TrainingPass::State::BindImages(const TrainingBatch& batch) {
  embeddings.assign(rows, nullptr);
  int64_t patch = 0;
  for (int64_t i = 0; i < rows; ++i) {
    if (batch.tokens[i] < 0) embeddings[i] = c.buffers[program.features][patch++];
  }
  c.stacks[0].embeddings = embeddings;
  towers.resize(config.towers.size());
  for (size_t t = 0; t < towers.size(); ++t) {
    const ModelConfig& tower = config.towers[t];
    CutPatches(config, static_cast<int>(t), batch.pixels, c.buffers[program.pixels[t]]);
    towers[t].List(tower, images, c.buffers[EmbeddedPatches(program, static_cast<int>(t))]);
    c.stacks.push_back(towers[t].Stack(tower));
    for (int64_t l = 0; l < tower.num_hidden_layers; ++l) c.attention_rows.emplace_back(towers[t].attention);
  }
}

void TrainingPass::State::BindKv(const TrainingBatch& batch) {
  pages.clear();
  tables.clear();
  // By layer, the pages that its sequences have, one after the other.
  std::vector<size_t> first_page, first_table;
  const auto add_layer = [&](const ModelConfig& stack, int layer, size_t sequences, auto length) {
    const int64_t page = KvPageFloats(stack.num_key_value_heads, stack.head_dim);
    int64_t used = 0;
    first_table.push_back(tables.size());
    for (size_t s = 0; s < sequences; ++s) {
      first_page.push_back(pages.size());
      tables.push_back(nullptr);
      for (int64_t p = 0; p < CeilDiv(length(s), kKeyBlock); ++p) pages.push_back(At(plan.kv[layer]) + used++ * page);
    }
  };
  int layer = 0;
  for (; layer < static_cast<int>(config.num_hidden_layers); ++layer) {
    add_layer(config, layer, batch.lengths.size(), [&](size_t s) { return int64_t{batch.lengths[s]}; });
  }
  for (const ModelConfig& tower : config.towers) {
    const int end = layer + static_cast<int>(tower.num_hidden_layers);
    for (; layer < end; ++layer) add_layer(tower, layer, images, [&](size_t) { return TowerLength(tower); });
  }
  for (size_t t = 0; t < tables.size(); ++t) tables[t] = pages.data() + first_page[t];
  first_table.push_back(tables.size());
  for (size_t l = 0; l + 1 < first_table.size(); ++l) {
    const ModelConfig& stack = *c.stacks[StackOfLayer(config, static_cast<int64_t>(l))].config;
    c.kv.push_back({Span<float* const* const>(tables).subspan(first_table[l], first_table[l + 1] - first_table[l]),
                    stack.num_key_value_heads, stack.head_dim});
  }
}

void TrainingPass::State::BindGradients(std::span<float> gradients) {
  KINETOK_CHECK(static_cast<int64_t>(gradients.size()) == list.elements);
  g = {};
  g.shared = plan.shared;
  g.written.assign(program.buffers.size(), false);
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    const int buffer = plan.gradients[plan.shared[b]];
    g.buffers.push_back(buffer < 0 ? Rows<float>() : Rows<float>(At(buffer), c.buffers[b].rows, c.buffers[b].width));
  }
  for (const Parameter& p : list.all) g.parameters.push_back(ParameterRows(p, gradients));
}

// The head and the loss of the rows that have a label; where some have none, the others are gathered first.
void TrainingPass::State::Loss(Context& context, const TrainingBatch& batch, std::span<float> losses,
                               std::span<int32_t> predictions, bool backward) {
  Labelled rows_with = Gather(context, batch);
  const Rows<const float> head = c.parameters[program.head].plain;
  const auto count = static_cast<int64_t>(rows_with.labels.size());
  for (int64_t first = 0; first < count; first += plan.chunk_rows) {
    const int64_t n = std::min(plan.chunk_rows, count - first);
    const Rows<float> logits(At(plan.logits), n, config.vocab_size);
    const Rows<const float> x = rows_with.x.Slice(first, n);
    LinearForward(context, x, head, {}, logits);
    if (!predictions.empty()) {
      ParallelFor(context, n, 16, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) {
          const std::span<const float> row(logits[i], static_cast<size_t>(config.vocab_size));
          rows_with.predictions[first + i] =
              static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
        }
      });
    }
    const auto weights = backward ? rows_with.weights.subspan(first, n) : std::span<const float>();
    CrossEntropy(context, rows_with.labels.subspan(first, n), weights, logits, rows_with.losses.subspan(first, n));
    if (!backward) continue;
    LinearBackwardWeight(context, logits, x, g.parameters[program.head], {});
    LinearBackwardInput(context, logits, head, false, rows_with.dx.Slice(first, n));
  }
  Scatter(context, rows_with, losses, predictions, backward);
}

TrainingPass::State::Labelled TrainingPass::State::Gather(Context& context, const TrainingBatch& batch) {
  const bool backward = !g.buffers.empty();
  const Rows<const float> x = c.buffers[program.output];
  labelled.clear();
  for (int64_t i = 0; i < rows; ++i) {
    if (batch.labels[i] >= 0) labelled.push_back(i);
  }
  const size_t count = labelled.size();
  gathered_losses.resize(count);
  gathered_predictions.resize(count);
  Labelled out{.losses = gathered_losses, .predictions = gathered_predictions};
  if (static_cast<int64_t>(count) == rows) {
    out.x = x;
    out.labels = batch.labels;
    out.weights = batch.weights;
    if (backward) out.dx = g.buffers[program.output];
    return out;
  }
  const int64_t width = x.width;
  gathered_rows.resize(count * width * (backward ? 2 : 1));
  gathered_labels.resize(count);
  gathered_weights.resize(count);
  ParallelFor(context, static_cast<int64_t>(count), 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) std::copy_n(x[labelled[i]], width, gathered_rows.data() + i * width);
  });
  for (size_t i = 0; i < count; ++i) {
    gathered_labels[i] = batch.labels[labelled[i]];
    if (backward) gathered_weights[i] = batch.weights[labelled[i]];
  }
  const auto n = static_cast<int64_t>(count);
  out.x = Rows<const float>(gathered_rows.data(), n, width);
  if (backward) out.dx = Rows<float>(gathered_rows.data() + n * width, n, width);
  out.labels = gathered_labels;
  out.weights = gathered_weights;
  return out;
}

void TrainingPass::State::Scatter(Context& context, const Labelled& from, std::span<float> losses,
                                  std::span<int32_t> predictions, bool backward) {
  std::fill(losses.begin(), losses.end(), 0.0f);
  std::fill(predictions.begin(), predictions.end(), -1);
  for (size_t i = 0; i < labelled.size(); ++i) {
    losses[labelled[i]] = from.losses[i];
    if (!predictions.empty()) predictions[labelled[i]] = from.predictions[i];
  }
  if (!backward) return;
  g.written[g.shared[program.output]] = true;
  const Rows<float> dx = g.buffers[program.output];
  if (from.dx.data == dx.data) return;
  ParallelFor(context, rows, 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) std::fill_n(dx[i], dx.width, 0.0f);
  });
  ParallelFor(context, from.dx.rows, 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) std::copy_n(from.dx[i], dx.width, dx[labelled[i]]);
  });
}

void TrainingPass::State::KeepEmbeddingGradient() {
  const Rows<float> d = g.buffers[program.steps[program.decoder_embed].out];
  const int64_t step_rows = options.step_rows > 0 ? options.step_rows : options.max_rows;
  if (kept_gradients.capacity() == 0) {  // the first pass; Finish keeps the capacity
    kept_tokens.reserve(step_rows);
    kept_positions.reserve(step_rows);
    kept_gradients.reserve(step_rows * d.width);
  }
  const Span<const int32_t> tokens = c.stacks[0].tokens;
  kept_tokens.insert(kept_tokens.end(), tokens.begin(), tokens.end());
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
                           std::span<float> losses, std::span<int32_t> predictions) {
  State& s = *state_;
  KINETOK_CHECK(losses.size() == batch.tokens.size() && (predictions.empty() || predictions.size() == losses.size()));
  s.Bind(weights, batch, 0);
  s.g = {};
  for (const PassEvent& e : s.plan.events) {
    if (e.kind == PassEvent::Kind::kForward) ForwardStep(context, s.c, s.program.steps[e.step]);
    if (e.kind == PassEvent::Kind::kLoss) return s.Loss(context, batch, losses, predictions, false);
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
        s.Loss(context, batch, losses, {}, true);
        break;
      case PassEvent::Kind::kBackward:
        BackwardStep(context, s.c, s.g, s.program.steps[e.step]);
        if (e.step == s.program.decoder_embed) s.KeepEmbeddingGradient();  // before a tower takes its memory
        break;
    }
  }
}

void TrainingPass::Finish(Context& context, std::span<float> gradients) {
  State& s = *state_;
  const Step& embed = s.program.steps[s.program.decoder_embed];
  const int64_t width = s.config.hidden_size;
  const Rows<const float> d(s.kept_gradients.data(), static_cast<int64_t>(s.kept_tokens.size()), width);
  EmbedBackward(context, s.kept_tokens, d, ParameterRows(s.list.all[embed.weight], gradients));
  if (embed.bias >= 0) EmbedBackward(context, s.kept_positions, d, ParameterRows(s.list.all[embed.bias], gradients));
  s.kept_tokens.clear();
  s.kept_positions.clear();
  s.kept_gradients.clear();
}

}  // namespace kinetok
