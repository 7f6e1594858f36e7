#include "kinetok/model/attention_map.h"

#include <algorithm>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"
#include "kinetok/model/steps.h"

namespace kinetok {
namespace {

// In place, over the scores of one row.
void Softmax(std::span<double> scores) {
  const double greatest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double& s : scores) total += s = Exp(s - greatest);
  for (double& s : scores) s /= total;
}

}  // namespace

AttentionMap ComputeAttentionMap(Context& context, const Model& model, std::span<const int32_t> tokens, int64_t layer) {
  const ModelConfig& config = model.config();
  if (layer < 0 || layer >= config.num_hidden_layers) {
    Fail("layer is {}; the model has layers 0 to {}", layer, config.num_hidden_layers - 1);
  }
  KvCache cache(config);
  Workspace workspace;
  std::vector<BatchRow> batch;
  batch.reserve(tokens.size());
  const int sequence = cache.NewSequence();
  for (const int32_t token : tokens) batch.push_back({.token = token, .sequence = sequence});

  AttentionMap map;
  map.heads = config.num_attention_heads;
  map.tokens = static_cast<int64_t>(tokens.size());
  map.probabilities.resize(map.heads * map.tokens * map.tokens);
  workspace.Observe([&](const Step& step, const StepContext& c) {
    if (step.op != Op::kAttention || step.layer != layer) return;
    // The text is one pass, so that its keys are all in the buffer: [q | k | v], rotated already.
    const Rows<const float> qkv = c.buffers[step.in];
    const int64_t group = config.num_attention_heads / config.num_key_value_heads;
    const double scale = AttentionScale(config);
    map.rows.assign(c.attention_rows[layer].begin(), c.attention_rows[layer].end());
    ParallelFor(context, map.heads, 1, [&](int64_t first, int64_t last, int) {
      for (int64_t head = first; head < last; ++head) {
        for (int64_t i = 0; i < map.tokens; ++i) {
          const AttentionRow& row = map.rows[i];
          const auto scores = std::span(map.probabilities)
                                  .subspan((head * map.tokens + i) * map.tokens + row.first, row.last - row.first + 1);
          const float* q = qkv[i] + head * config.head_dim;
          for (int64_t j = row.first; j <= row.last; ++j) {
            const float* k = qkv[j] + (config.num_attention_heads + head / group) * config.head_dim;
            double dot = 0;
            for (int64_t d = 0; d < config.head_dim; ++d) dot += static_cast<double>(q[d]) * k[d];
            scores[j - row.first] = scale * dot;
          }
          Softmax(scores);
        }
      }
    });
  });
  model.Hidden(context, batch, cache, workspace);
  return map;
}

}  // namespace kinetok
