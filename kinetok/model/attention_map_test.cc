#include "kinetok/model/attention_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kinetok/base/error.h"
#include "kinetok/model/steps.h"
#include "kinetok/model/test_models.h"

namespace kinetok {
namespace {

constexpr int64_t kTokens = 75;  // crosses a block of keys

class AttentionMapTest : public ::testing::TestWithParam<int> {
 protected:
  AttentionMapTest()
      : config_(AllTestConfigs()[GetParam()].config), tokens_(DrawTokens(kTokens, config_.vocab_size, 4)) {
    const ParameterList list(config_);
    model_ = Model::FromParameters(context_, config_, DrawParameters(list, 5), DType::kF32, nullptr);
  }

  Context context_{1, BestIsa()};
  ModelConfig config_;
  std::vector<int32_t> tokens_;
  std::shared_ptr<const Model> model_;
};

TEST_P(AttentionMapTest, RowsSumToOneAndRespectTheMask) {
  for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
    const AttentionMap map = ComputeAttentionMap(context_, *model_, tokens_, layer);
    ASSERT_EQ(map.heads, config_.num_attention_heads);
    ASSERT_EQ(map.tokens, kTokens);
    for (int64_t head = 0; head < map.heads; ++head) {
      for (int64_t i = 0; i < kTokens; ++i) {
        const std::span<const double> row = map.Row(head, i);
        EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1, 1e-14);
        for (int64_t j = 0; j < kTokens; ++j) {
          const AttentionRow visible = VisibleRow(config_.LayerMask(layer), 0, static_cast<int32_t>(i), kTokens);
          const bool hidden = j < visible.first || j > visible.last;
          EXPECT_EQ(row[j] > 0, !hidden) << "layer " << layer << " head " << head << " position " << i << " key " << j;
        }
      }
    }
  }
}

// The map is what the model used: its probabilities times the values are the attention step's output. The kernel works
// in float, u = 2^-24: a score is off by at most (head_dim + 1) u times the sum of its products' magnitudes, a
// probability relatively by twice the greatest such error and 4 u of the exponential, and the sums over keys by 2
// tokens u.
TEST_P(AttentionMapTest, WeightedValuesAreTheModelsOutput) {
  for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
    const AttentionMap map = ComputeAttentionMap(context_, *model_, tokens_, layer);
    KvCache cache(config_);
    Workspace workspace;
    std::vector<BatchRow> rows;
    rows.reserve(tokens_.size());
    const int sequence = cache.NewSequence();
    for (const int32_t t : tokens_) rows.push_back({.token = t, .sequence = sequence});
    int seen = 0;
    workspace.Observe([&](const Step& step, const StepContext& c) {
      if (step.op != Op::kAttention || step.layer != layer) return;
      ++seen;
      const int64_t group = config_.num_attention_heads / config_.num_key_value_heads;
      const int64_t values = (config_.num_attention_heads + config_.num_key_value_heads) * config_.head_dim;
      for (int64_t head = 0; head < map.heads; ++head) {
        for (int64_t i = 0; i < kTokens; ++i) {
          const std::span<const double> p = map.Row(head, i);
          const float* q = c.buffers[step.in][i] + head * config_.head_dim;
          double greatest = 0;
          for (int64_t j = 0; j < kTokens; ++j) {
            const float* k = c.buffers[step.in][j] + (config_.num_attention_heads + head / group) * config_.head_dim;
            double sum = 0;
            for (int64_t d = 0; d < config_.head_dim; ++d) sum += std::abs(static_cast<double>(q[d]) * k[d]);
            greatest = std::max(greatest, sum * AttentionScale(config_));
          }
          const double relative =
              (2 * static_cast<double>(config_.head_dim + 1) * greatest + 4 + 2 * kTokens) * 0x1p-24;
          for (int64_t d = 0; d < config_.head_dim; ++d) {
            double expected = 0, magnitude = 0;
            for (int64_t j = 0; j < kTokens; ++j) {
              const double v = c.buffers[step.in][j][values + head / group * config_.head_dim + d];
              expected += p[j] * v;
              magnitude += p[j] * std::abs(v);
            }
            EXPECT_NEAR(c.buffers[step.out][i][head * config_.head_dim + d], expected, relative * magnitude);
          }
        }
      }
    });
    model_->Hidden(context_, rows, cache, workspace);
    EXPECT_EQ(seen, 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Configs, AttentionMapTest, ::testing::Range(0, static_cast<int>(AllTestConfigs().size())),
                         [](const auto& test) { return AllTestConfigs()[test.param].name; });

TEST(AttentionMap, ALayerThatDoesNotExistIsNamed) {
  Context context(1, BestIsa());
  const ModelConfig config = Preset("tiny");
  const auto model = Model::Random(context, config, 1, DType::kF32);
  const std::vector<int32_t> tokens = {1, 2};
  for (const int64_t layer : {int64_t{-1}, config.num_hidden_layers}) {
    try {
      ComputeAttentionMap(context, *model, tokens, layer);
      ADD_FAILURE();
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), ::testing::HasSubstr("the model has layers 0 to 1"));
    }
  }
}

}  // namespace
}  // namespace kinetok
