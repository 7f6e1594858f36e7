#include "kinetok/model/training_plan.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "kinetok/base/checked.h"
#include "kinetok/kernels/attention.h"
#include "kinetok/model/vision.h"

namespace kinetok {
namespace {

// The buffers whose values a step's backward pass reads.
std::vector<int> BackwardReads(const Step& s) {
  switch (s.op) {
    case Op::kNorm:
      return {s.in, s.statistics, s.statistics2};
    case Op::kLinear:
    case Op::kActivate:
    case Op::kSwiGlu:
    case Op::kScale:
      return {s.in};
    case Op::kAttention:
      return {s.in, s.out, s.statistics};
    default:
      return {};
  }
}

// The steps of a layer that must run again before its backward pass: those whose results it reads, and what these need
// in turn, from the layer's input on.
std::vector<int> StepsToRecompute(const Program& program, const std::vector<int>& layer_steps) {
  std::set<int> needed, inside;
  for (const int i : layer_steps) {
    for (const int b : BackwardReads(program.steps[i])) needed.insert(b);
    inside.insert(program.steps[i].out);
  }
  std::vector<int> out;
  for (auto it = layer_steps.rbegin(); it != layer_steps.rend(); ++it) {
    const Step& s = program.steps[*it];
    const bool rewrites = s.op == Op::kRope && needed.count(s.in) != 0;
    const bool produces = s.out >= 0 && needed.count(s.out) != 0;
    if (!rewrites && !produces && needed.count(s.statistics) == 0) continue;
    out.push_back(*it);
    for (const int b : {s.in, s.in2}) {
      if (b >= 0) needed.insert(b);
    }
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<PassEvent> Schedule(const ModelConfig& config, const Program& program, const TrainingPassOptions& options) {
  using Kind = PassEvent::Kind;
  std::vector<PassEvent> events;
  const int steps = static_cast<int>(program.steps.size());
  events.reserve(3 * program.steps.size() + 1);  // forward, again, backward; the loss
  for (int i = 0; i < steps; ++i) events.push_back({Kind::kForward, i});
  events.push_back({Kind::kLoss, -1});
  if (!options.backward) return events;
  for (int i = steps - 1; i >= 0; --i) {
    const int layer = program.steps[i].layer;
    const bool entering = layer >= 0 && (i + 1 == steps || program.steps[i + 1].layer != layer);
    if (options.recompute && entering && layer + 1 != config.num_hidden_layers) {  // the last one's are still there
      std::vector<int> layer_steps;
      for (int j = 0; j <= i; ++j) {
        if (program.steps[j].layer == layer) layer_steps.push_back(j);
      }
      for (const int j : StepsToRecompute(program, layer_steps)) events.push_back({Kind::kRecompute, j});
    }
    events.push_back({Kind::kBackward, i});
  }
  return events;
}

// Collects, for one thing that lives in the arena, the times of its writes and reads; a write by kRecompute begins a
// new interval, so that what lies between its last use and its recomputation is free for others.
class Liveness {
 public:
  void Begin(int time) { intervals_.emplace_back(time, time); }
  void Use(int time) { intervals_.back().second = std::max(intervals_.back().second, time); }
  void Touch(int time) { intervals_.empty() ? Begin(time) : Use(time); }
  bool empty() const { return intervals_.empty(); }
  const std::vector<std::pair<int, int>>& intervals() const { return intervals_; }

 private:
  std::vector<std::pair<int, int>> intervals_;
};

std::vector<int> ShareGradients(const Program& program) {
  std::vector<int> parent(program.buffers.size());
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&](int b) {
    while (parent[b] != b) b = parent[b];
    return b;
  };
  for (const Step& s : program.steps) {
    if (s.op != Op::kAdd) continue;
    parent[root(s.in)] = root(s.out);
    parent[root(s.in2)] = root(s.out);
  }
  std::vector<int> out(parent.size());
  for (size_t b = 0; b < out.size(); ++b) out[b] = root(static_cast<int>(b));
  return out;
}

}  // namespace

TrainingPlan::TrainingPlan(const ModelConfig& config, const Program& program, const TrainingPassOptions& options)
    : events(Schedule(config, program, options)), shared(ShareGradients(program)) {
  using Kind = PassEvent::Kind;
  const size_t count = program.buffers.size();
  std::vector<Liveness> value(count), gradient(count), pages(program.layers);
  for (const int b : program.pixels) value[b].Begin(0);
  const auto is_pixels = [&](int b) {
    return std::find(program.pixels.begin(), program.pixels.end(), b) != program.pixels.end();
  };
  int loss_time = 0;
  for (int t = 0; t < static_cast<int>(events.size()); ++t) {
    const PassEvent& e = events[t];
    if (e.kind == Kind::kLoss) {
      loss_time = t;
      value[program.output].Use(t);
      if (options.backward) gradient[shared[program.output]].Touch(t);
      continue;
    }
    const Step& s = program.steps[e.step];
    if (e.kind == Kind::kBackward) {
      for (const int b : BackwardReads(s)) {
        if (b >= 0) value[b].Use(t);
      }
      if (s.op == Op::kAttention) pages[s.layer].Use(t);
      for (const int b : {s.in, s.in2, s.out}) {
        if (b >= 0 && !is_pixels(b)) gradient[shared[b]].Touch(t);
      }
      continue;
    }
    for (const int b : {s.in, s.in2}) {
      if (b >= 0) value[b].Use(t);
    }
    for (const int b : {s.out, s.statistics, s.statistics2}) {
      if (b >= 0) value[b].Begin(t);
    }
    if (s.op == Op::kAttention) pages[s.layer].Begin(t);
  }

  const int64_t rows = options.max_rows;
  const std::vector<int64_t> counts = RowCounts(config, rows, options.max_images);
  const auto floats = [&](size_t b) { return counts[program.buffers[b].rows] * program.buffers[b].width; };
  for (size_t b = 0; b < count; ++b) values.push_back(arena.Add(floats(b), value[b].intervals()));
  gradients.assign(count, -1);
  for (size_t b = 0; b < count; ++b) {
    if (!gradient[b].empty()) gradients[b] = arena.Add(floats(b), gradient[b].intervals());
  }
  for (int l = 0; l < program.layers; ++l) {
    const int stack = StackOfLayer(config, l);
    const ModelConfig& c = stack == 0 ? config : config.towers[stack - 1];
    const int64_t kv_pages = stack == 0 ? std::min(options.max_sequences * CeilDiv(options.max_length, kKeyBlock),
                                                   rows / kKeyBlock + options.max_sequences)
                                        : options.max_images * CeilDiv(TowerLength(c), kKeyBlock);
    kv.push_back(arena.Add(kv_pages * KvPageFloats(c.num_key_value_heads, c.head_dim), pages[l].intervals()));
  }
  const int64_t most = std::max<int64_t>(16, options.logits_chunk_bytes / 4 / config.vocab_size / 16 * 16);
  chunk_rows = RoundUp(CeilDiv(rows, CeilDiv(rows, most)), 16);
  logits = arena.Add(std::min(chunk_rows, rows) * config.vocab_size, {{loss_time, loss_time}});
  arena.Place();
}

}  // namespace kinetok
