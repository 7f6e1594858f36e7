#include "kinetok/model/model.h"

#include <algorithm>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/base/memory.h"
#include "kinetok/model/arena_plan.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/steps.h"
#include "kinetok/model/vision.h"

namespace kinetok {

struct Workspace::State {
  Buffer arena, logits;
  std::vector<int32_t> tokens, positions;
  std::vector<const float*> embeddings;
  std::vector<int> sequences;  // of the cache, in order of first appearance
  std::vector<int64_t> old_lengths;
  std::vector<int> local;  // by sequence of the cache: its index in `sequences`, or -1
  std::vector<std::vector<AttentionRow>> layer_rows;
  std::vector<KvCache::LayerView> views;
  std::vector<ParameterView> parameters;
  StepObserver observer;
};

Workspace::Workspace() : state_(std::make_unique<State>()) {}
Workspace::~Workspace() = default;
Workspace::Workspace(Workspace&&) noexcept = default;
Workspace& Workspace::operator=(Workspace&&) noexcept = default;
void Workspace::Observe(StepObserver observer) {
  state_->observer = std::move(observer);
}

Model::Model(ModelConfig config)
    : config_(std::move(config)),
      list_(config_),
      program_(Program::Compile(config_, list_, /*training=*/false, Program::Part::kDecoder)),
      vision_(Program::Compile(config_, list_, /*training=*/false, Program::Part::kVision)),
      matrices_(list_.all.size()),
      vectors_(list_.all.size()) {}

void Model::Prepare(int64_t weight_bytes, const std::string& what) {
  const bool rotary = config_.position == Position::kRope;
  RequireMemory(weight_bytes + (rotary ? config_.max_position_embeddings * config_.head_dim * 4 : 0), what);
  if (rotary) rope_ = MakeRopeTable(config_, config_.max_position_embeddings);
}

namespace {

bool IsPacked(const ParameterList& list, int parameter) {
  return list.all[parameter].is_matrix() && !list.all[parameter].table;
}

// Packs a tensor from where it lies.
void Pack(Context& context, const TensorData& data, const PublishedTensor& t, PackedMatrix& matrix) {
  const DType type = data.RequireType();
  const int64_t columns = matrix.columns();
  if (t.transposed)
    return matrix.SetRows(context, t.first_row, {data.bytes().data(), type, t.rows, columns, 1, t.rows});
  for (const StoredRun& run : StoredRuns(t)) {
    const std::byte* first = data.bytes().data() + run.stored * columns * DTypeSize(type);
    matrix.SetRows(context, run.parameter_row, {first, type, run.rows, columns, run.stride * columns, 1});
  }
}

// Bytes of the packed weights.
int64_t WeightBytes(const ParameterList& list, std::span<const DType> dtypes) {
  int64_t bytes = 0;
  for (size_t p = 0; p < list.all.size(); ++p) {
    bytes += list.all[p].elements() * (IsPacked(list, static_cast<int>(p)) ? DTypeSize(dtypes[p]) : 4);
  }
  return bytes;
}

}  // namespace

std::shared_ptr<const Model> Model::Load(Context& context, const std::filesystem::path& path,
                                         const LoadOptions& options) {
  const ModelFiles files(path);
  std::shared_ptr<Model> model(new Model(files.config()));
  const ParameterList& list = model->list_;
  const auto& [tensors, found, unread] = files.tensors();
  if (options.tokenizer != TokenizerUse::kNone) {
    try {
      auto tokenizer = files.LoadTokenizer();
      CheckTokenizer(path, *tokenizer, model->config_);
      model->tokenizer_ = std::move(tokenizer);
    } catch (const Error& e) {
      if (options.tokenizer == TokenizerUse::kRequired) throw;
      model->tokenizer_problem_ = e.what();
    }
  }

  // The packed dtype of a parameter is that of its first tensor, unless the caller asks for another.
  std::vector<DType> dtypes(list.all.size(), DType::kF32);
  for (size_t i = tensors.size(); i-- > 0;) {
    if (tensors[i].parameter >= 0) dtypes[tensors[i].parameter] = options.dtype.value_or(found[i]->RequireType());
  }
  model->Prepare(WeightBytes(list, dtypes), path.string());

  for (size_t i = 0; i < tensors.size(); ++i) {
    const PublishedTensor& t = tensors[i];
    if (t.zero_filled || t.unread) continue;
    const Parameter& p = list.all[t.parameter];
    if (IsPacked(list, t.parameter)) {
      PackedMatrix& w = model->matrices_[t.parameter];
      if (w.empty()) w = PackedMatrix(p.rows, p.columns, dtypes[t.parameter]);
      Pack(context, *found[i], t, w);
    } else {
      std::vector<float>& v = model->vectors_[t.parameter];
      if (v.empty()) v.resize(p.elements());
      ReadTensor(*found[i], t, std::max<int64_t>(1, p.columns), v);
    }
    found[i]->Drop();
  }
  if (!options.adapter.empty()) model->LoadLora(context, files, options);
  return model;
}

void Model::LoadLora(Context& context, const ModelFiles& files, const LoadOptions& options) {
  const Adapter adapter = LoadAdapter(options.adapter, config_, list_);
  if (!options.merge_adapter) {
    adapter_.resize(list_.all.size());
    for (const LoraModule& m : adapter.lora.modules) {
      if (m.parameter >= 0) adapter_[m.parameter].push_back(PackModule(context, adapter.lora, m, adapter.values));
    }
    return;
  }
  // A matrix at a time, in f32, and packed once more. What a tied head shares has no module (LoraList).
  const auto& [tensors, found, unread] = files.tensors();
  std::vector<bool> done(list_.all.size(), false);
  for (const LoraModule& module : adapter.lora.modules) {
    if (module.parameter < 0 || done[module.parameter]) continue;
    done[module.parameter] = true;
    const Parameter& p = list_.all[module.parameter];
    std::vector<float> whole(p.elements());
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].parameter == module.parameter && !tensors[i].zero_filled) {
        ReadTensor(*found[i], tensors[i], p.columns, whole);
      }
    }
    for (const LoraModule& m : adapter.lora.modules) {
      if (m.parameter != module.parameter) continue;
      AddModule(context, adapter.lora, m, adapter.values, Rows<float>(whole.data(), p.rows, p.columns));
    }
    matrices_[module.parameter].SetRows(context, 0, {whole.data(), DType::kF32, p.rows, p.columns, p.columns, 1});
  }
}

std::shared_ptr<const Model> Model::FromParameters(Context& context, const ModelConfig& config,
                                                   std::span<const float> flat, DType dtype,
                                                   std::shared_ptr<const Tokenizer> tokenizer) {
  std::shared_ptr<Model> model(new Model(config));
  KINETOK_CHECK(static_cast<int64_t>(flat.size()) == model->list_.elements);
  model->Prepare(WeightBytes(model->list_, std::vector<DType>(model->list_.all.size(), dtype)), "the model");
  for (size_t i = 0; i < model->list_.all.size(); ++i) {
    const Parameter& p = model->list_.all[i];
    const float* data = flat.data() + p.offset;
    if (IsPacked(model->list_, static_cast<int>(i))) {
      model->matrices_[i] = PackedMatrix(p.rows, p.columns, dtype);
      model->matrices_[i].SetRows(context, 0, {data, DType::kF32, p.rows, p.columns, p.columns, 1});
    } else {
      model->vectors_[i].assign(data, data + p.elements());
    }
  }
  model->tokenizer_ = std::move(tokenizer);
  return model;
}

std::shared_ptr<const Model> Model::Random(Context& context, const ModelConfig& config, uint64_t seed, DType dtype) {
  std::shared_ptr<Model> model(new Model(config));
  model->Prepare(WeightBytes(model->list_, std::vector<DType>(model->list_.all.size(), dtype)), "the model");
  constexpr int64_t kRows = 1024;  // of a matrix, drawn at a time
  std::vector<float> rows;
  for (size_t i = 0; i < model->list_.all.size(); ++i) {
    const Parameter& p = model->list_.all[i];
    if (!IsPacked(model->list_, static_cast<int>(i))) {
      model->vectors_[i].resize(p.elements());
      InitializeParameter(model->list_, static_cast<int>(i), seed, 0, model->vectors_[i]);
      continue;
    }
    model->matrices_[i] = PackedMatrix(p.rows, p.columns, dtype);
    for (int64_t first = 0; first < p.rows; first += kRows) {
      const int64_t n = std::min(kRows, p.rows - first);
      rows.resize(n * p.columns);
      ParallelFor(context, n, 16, [&](int64_t a, int64_t b, int) {
        InitializeParameter(model->list_, static_cast<int>(i), seed, (first + a) * p.columns,
                            std::span(rows).subspan(a * p.columns, (b - a) * p.columns));
      });
      model->matrices_[i].SetRows(context, first, {rows.data(), DType::kF32, n, p.columns, p.columns, 1});
    }
  }
  return model;
}

int64_t Model::weight_bytes() const {
  int64_t bytes = 0;
  for (const PackedMatrix& m : matrices_) bytes += m.bytes();
  for (const auto& v : vectors_) bytes += static_cast<int64_t>(v.size()) * 4;
  for (const auto& parts : adapter_) {
    for (const LowRank& part : parts) bytes += part.a.bytes() + part.b.bytes();
  }
  return bytes;
}

int64_t Model::matrix_bytes_per_token() const {
  int64_t bytes = 0;
  for (size_t i = 0; i < matrices_.size(); ++i) {
    const bool only_looked_up = static_cast<int>(i) == list_.embedding && list_.head != list_.embedding;
    if (!only_looked_up) bytes += matrices_[i].bytes();
  }
  return bytes;
}

void Model::BindRows(std::span<const BatchRow> rows, KvCache& cache, Workspace::State& s) const {
  s.tokens.clear();
  s.positions.clear();
  s.embeddings.clear();
  s.sequences.clear();
  s.old_lengths.clear();
  s.local.clear();
  std::vector<int64_t> lengths;
  std::vector<int32_t> local_of_row;
  for (const BatchRow& row : rows) {
    if (row.embedding == nullptr && (row.token < 0 || row.token >= config_.vocab_size)) {
      Fail("token {} is outside the vocabulary of {}", row.token, config_.vocab_size);
    }
    if (row.sequence >= static_cast<int>(s.local.size())) s.local.resize(row.sequence + 1, -1);
    int& local = s.local[row.sequence];
    if (local < 0) {
      local = static_cast<int>(s.sequences.size());
      s.sequences.push_back(row.sequence);
      s.old_lengths.push_back(cache.length(row.sequence));
      lengths.push_back(s.old_lengths.back());
    }
    if (!config_.IsCausal() && s.old_lengths[local] > 0) {
      Fail("model_type \"{}\" sees a text from both sides and reads it in one piece: this one has {} tokens already",
           config_.model_type, s.old_lengths[local]);
    }
    const int64_t position = lengths[local]++;
    if (position >= config_.max_position_embeddings) {
      Fail("position {} is beyond the model's context of {} positions", position, config_.max_position_embeddings);
    }
    s.tokens.push_back(row.embedding == nullptr ? row.token : -1);
    s.embeddings.push_back(row.embedding);
    s.positions.push_back(static_cast<int32_t>(position));
    local_of_row.push_back(local);
  }
  s.layer_rows.assign(config_.masks.size(), {});
  for (size_t m = 0; m < config_.masks.size(); ++m) {
    for (size_t i = 0; i < rows.size(); ++i) {
      s.layer_rows[m].push_back(VisibleRow(config_.masks[m], local_of_row[i], s.positions[i],
                                           static_cast<int32_t>(lengths[local_of_row[i]])));
    }
  }
  size_t extended = 0;
  try {
    for (; extended < s.sequences.size(); ++extended) cache.Extend(s.sequences[extended], lengths[extended]);
  } catch (...) {
    while (extended-- > 0) cache.Truncate(s.sequences[extended], s.old_lengths[extended]);
    throw;
  }
  s.views.resize(config_.num_hidden_layers);
  for (int64_t l = 0; l < config_.num_hidden_layers; ++l) cache.View(s.sequences, l, &s.views[l]);
}

float* Model::Place(const Program& program, std::span<const int64_t> rows, std::span<const int> kept,
                    int64_t extra_floats, StepContext* c, Workspace::State& s) const {
  const int end = static_cast<int>(program.steps.size());
  ArenaPlan plan;
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    const Activations& buffer = program.buffers[b];
    const bool stays = std::find(kept.begin(), kept.end(), static_cast<int>(b)) != kept.end();
    plan.Add(rows[buffer.rows] * buffer.width, {{buffer.first_use, stays ? end : buffer.last_use}});
  }
  const int extra = plan.Add(extra_floats, {{0, end}});
  plan.Place();
  if (s.arena.bytes() < plan.total_floats() * 4) s.arena = Buffer(plan.total_floats() * 4);
  float* arena = s.arena.As<float>().data();
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    const Activations& buffer = program.buffers[b];
    c->buffers.emplace_back(arena + plan.offset(static_cast<int>(b)), rows[buffer.rows], buffer.width);
  }

  s.parameters.clear();
  for (size_t i = 0; i < matrices_.size(); ++i) {
    const Parameter& p = list_.all[i];
    ParameterView view;
    if (!matrices_[i].empty()) {
      view.packed = &matrices_[i];
      if (!adapter_.empty() && !adapter_[i].empty()) view.low_rank = &adapter_[i];
    } else {
      view.plain = p.is_matrix() ? Rows<const float>(vectors_[i].data(), p.rows, p.columns)
                                 : Rows<const float>(vectors_[i].data(), 1, p.rows);
    }
    s.parameters.push_back(view);
  }
  c->program = &program;
  c->parameters = s.parameters;
  c->rope = &rope_;
  return arena + plan.offset(extra);
}

Model::Pass Model::Run(Context& context, std::span<const BatchRow> rows, int64_t wanted, KvCache& cache,
                       Workspace::State& s) const {
  BindRows(rows, cache, s);
  StepContext c;
  const int64_t counts[] = {static_cast<int64_t>(rows.size())};
  const int kept[] = {program_.hidden, program_.output};
  float* gathered = Place(program_, counts, kept, wanted * config_.hidden_size, &c, s);
  c.stacks = {{&config_, s.tokens, s.positions, s.embeddings}};
  for (int64_t l = 0; l < config_.num_hidden_layers; ++l) {
    c.attention_rows.emplace_back(s.layer_rows[l % s.layer_rows.size()]);
    c.kv.push_back(s.views[l].pages());
  }
  for (const Step& step : program_.steps) {
    ForwardStep(context, c, step);
    if (s.observer) s.observer(step, c);
  }
  return {c.buffers[program_.hidden], c.buffers[program_.output], Rows<float>(gathered, wanted, config_.hidden_size)};
}

int64_t Model::ImageFloats() const {
  return kinetok::ImageFloats(config_);
}

Rows<const float> Model::EncodeImages(Context& context, std::span<const float> pixels, Workspace& workspace) const {
  if (config_.towers.empty()) {
    Fail("this model of type \"{}\" has no vision towers: it sees no images", config_.model_type);
  }
  const int64_t images = ImagesIn(config_, pixels);
  if (images == 0) return {nullptr, 0, config_.hidden_size};
  Workspace::State& s = workspace.state();
  StepContext c;
  const int kept[] = {vision_.features};
  Place(vision_, RowCounts(config_, 0, images), kept, 0, &c, s);

  struct Tower {
    TowerRows rows;
    std::unique_ptr<KvCache> cache;  // of one layer: each overwrites the one before
    KvCache::LayerView view;
  };
  std::vector<Tower> towers(config_.towers.size());
  c.stacks.push_back({&config_, {}, {}, {}});
  c.attention_rows.resize(vision_.layers);
  c.kv.resize(vision_.layers);
  int64_t layer = config_.num_hidden_layers;
  for (size_t t = 0; t < towers.size(); ++t) {
    const ModelConfig& tower = config_.towers[t];
    const auto index = static_cast<int>(t);
    CutPatches(config_, index, pixels, c.buffers[vision_.pixels[t]]);
    towers[t].rows.List(tower, images, c.buffers[EmbeddedPatches(vision_, index)]);
    c.stacks.push_back(towers[t].rows.Stack(tower));

    ModelConfig one_layer = tower;
    one_layer.num_hidden_layers = 1;
    towers[t].cache = std::make_unique<KvCache>(one_layer);
    std::vector<int> ids(images);
    for (int& id : ids) {
      id = towers[t].cache->NewSequence();
      towers[t].cache->Extend(id, TowerLength(tower));
    }
    towers[t].cache->View(ids, 0, &towers[t].view);
    for (int64_t l = 0; l < tower.num_hidden_layers; ++l, ++layer) {
      c.attention_rows[layer] = towers[t].rows.attention;
      c.kv[layer] = towers[t].view.pages();
    }
  }
  for (const Step& step : vision_.steps) {
    ForwardStep(context, c, step);
    if (s.observer) s.observer(step, c);
  }
  return c.buffers[vision_.features];
}

Rows<const float> Model::Hidden(Context& context, std::span<const BatchRow> rows, KvCache& cache,
                                Workspace& workspace) const {
  if (rows.empty()) return {nullptr, 0, config_.hidden_size};
  return Run(context, rows, 0, cache, workspace.state()).hidden;
}

Rows<const float> Model::Forward(Context& context, std::span<const BatchRow> rows, KvCache& cache,
                                 Workspace& workspace) const {
  Workspace::State& s = workspace.state();
  if (program_.head < 0) Fail("this model of type \"{}\" has no head and gives no logits", config_.model_type);
  if (rows.empty()) return {nullptr, 0, config_.vocab_size};
  const int64_t wanted = std::count_if(rows.begin(), rows.end(), [](const BatchRow& r) { return r.want_logits; });
  const Pass pass = Run(context, rows, wanted, cache, s);
  if (s.logits.bytes() < wanted * config_.vocab_size * 4) s.logits = Buffer(wanted * config_.vocab_size * 4);
  int64_t at = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const float* row = pass.output[static_cast<int64_t>(i)];
    if (rows[i].want_logits) std::copy(row, row + config_.hidden_size, pass.gathered[at++]);
  }
  const Rows<float> logits(s.logits.As<float>().data(), wanted, config_.vocab_size);
  const Span<const float> bias =
      program_.head_bias < 0 ? Span<const float>() : s.parameters[program_.head_bias].vector();
  if (wanted > 0) MatMul(context, pass.gathered, matrices_[program_.head], bias, logits);
  if (wanted > 0 && !adapter_.empty()) AddLowRank(context, pass.gathered, adapter_[program_.head], logits);
  return logits;
}

}  // namespace kinetok
