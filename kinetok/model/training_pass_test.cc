#include "kinetok/model/training_pass.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "kinetok/base/error.h"
#include "kinetok/kernels/cross_entropy.h"
#include "kinetok/model/model.h"
#include "kinetok/model/test_models.h"

namespace kinetok {
namespace {

// A ragged batch with some rows that carry no loss.
struct Batch {
  Batch(const ModelConfig& config, std::vector<int32_t> sequence_lengths, uint64_t seed)
      : lengths(std::move(sequence_lengths)) {
    const int64_t rows = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
    tokens = DrawTokens(rows, config.vocab_size, seed);
    labels = DrawTokens(rows, config.vocab_size, seed + 1);
    for (int64_t i = 0; i < rows; i += 5) labels[i] = -1;
    for (int64_t i = 0; i < rows; ++i) weights.push_back(labels[i] < 0 ? 0.0f : 0.02f);
    for (size_t s = 0; s < lengths.size(); ++s) keys.push_back(100 + s);
  }
  TrainingBatch View() const { return {tokens, labels, weights, lengths, keys}; }
  // The sequences [first, last) alone.
  Batch Part(size_t first, size_t last) const {
    Batch out = *this;
    const auto begin = std::accumulate(lengths.begin(), lengths.begin() + static_cast<long>(first), 0L);
    const auto end = std::accumulate(lengths.begin(), lengths.begin() + static_cast<long>(last), 0L);
    const auto cut = [&](auto& v) { v = {v.begin() + begin, v.begin() + end}; };
    cut(out.tokens);
    cut(out.labels);
    cut(out.weights);
    out.lengths = {lengths.begin() + static_cast<long>(first), lengths.begin() + static_cast<long>(last)};
    out.keys = {keys.begin() + static_cast<long>(first), keys.begin() + static_cast<long>(last)};
    return out;
  }
  std::vector<int32_t> tokens, labels, lengths;
  std::vector<float> weights;
  std::vector<uint64_t> keys;
};

TrainingPassOptions Options(const ModelConfig& config) {
  return {.max_rows = 300, .max_sequences = 4, .max_length = config.max_position_embeddings, .dropout_seed = 9};
}

struct Result {
  std::vector<float> losses, gradients;
};

Result RunPass(Context& context, const ModelConfig& config, const TrainingPassOptions& options,
               std::span<const float> flat, const std::vector<Batch>& batches) {
  const ParameterList list(config);
  TrainingPass pass(config, list, options);
  Result out;
  out.gradients.assign(list.elements, 0.0f);
  for (const Batch& b : batches) {
    std::vector<float> losses(b.tokens.size());
    pass.ForwardBackward(context, flat, b.View(), 3, losses, out.gradients);
    out.losses.insert(out.losses.end(), losses.begin(), losses.end());
  }
  pass.Finish(context, out.gradients);
  return out;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 4) == 0;
}

class TrainingPassTest : public ::testing::TestWithParam<int> {
 protected:
  TrainingPassTest()
      : config_(TestConfigs()[GetParam()].config),
        list_(config_),
        flat_(DrawParameters(list_, 6)),
        batch_(config_, {65, 130, 7}, 40) {}
  ModelConfig config_;
  ParameterList list_;
  std::vector<float> flat_;
  Batch batch_;
};

TEST_P(TrainingPassTest, LossesAreTheBitsThatInferenceComputes) {
  Context context(2, BestIsa());
  const Result r = RunPass(context, config_, Options(config_), flat_, {batch_});
  const auto model = Model::FromParameters(context, config_, flat_, DType::kF32, nullptr);
  KvCache cache(config_);
  Workspace workspace;
  std::vector<BatchRow> rows;
  size_t at = 0;
  for (const int32_t n : batch_.lengths) {
    const int id = cache.NewSequence();
    for (int32_t i = 0; i < n; ++i) rows.push_back({batch_.tokens[at++], id, true});
  }
  const Rows<const float> logits = model->Forward(context, rows, cache, workspace);
  std::vector<float> copy(logits.data, logits.data + logits.rows * logits.width), losses(rows.size());
  CrossEntropy(context, batch_.labels, {}, Rows<float>(copy.data(), logits.rows, logits.width), losses);
  EXPECT_TRUE(SameBits(losses, r.losses));
  EXPECT_EQ(losses[0], 0.0f);  // label -1
}

TEST_P(TrainingPassTest, TheGradientIsTheDerivativeOfTheLoss) {
  // Along a random direction u of every parameter: (L(w + h u) - L(w - h u)) / 2h against g . u. The losses are f32
  // sums of about 10^5 operations, so 3e-3 relative is what the difference can show; a wrong term shows as 1e-1.
  Context context(2, BestIsa());
  const Result r = RunPass(context, config_, Options(config_), flat_, {batch_});
  TrainingPassOptions forward = Options(config_);
  forward.backward = false;
  TrainingPass pass(config_, list_, forward);
  for (size_t i = 0; i < list_.all.size(); ++i) {
    const Parameter& p = list_.all[i];
    std::vector<float> direction(list_.elements, 0.0f);
    double expected = 0, norm = 0;
    for (int64_t e = p.offset; e < p.offset + p.elements(); ++e) {
      // Along the gradient's own signs the derivative is large against the rounding of the losses.
      direction[e] = r.gradients[e] > 0 ? 1.0f : -1.0f;
      expected += static_cast<double>(r.gradients[e]) * direction[e];
      norm += 1;
    }
    const double h = 0.05 / std::sqrt(norm);
    const auto loss = [&](double step) {
      std::vector<float> moved = flat_, losses(batch_.tokens.size());
      for (size_t e = 0; e < moved.size(); ++e) moved[e] += static_cast<float>(step) * direction[e];
      pass.Forward(context, moved, batch_.View(), losses);
      double sum = 0;
      for (size_t k = 0; k < losses.size(); ++k) sum += static_cast<double>(losses[k]) * batch_.weights[k];
      return sum;
    };
    const double difference = (loss(h) - loss(-h)) / (2 * h);
    EXPECT_NEAR(difference, expected, 0.01 * std::abs(expected) + 2e-4) << p.name;
  }
}

TEST_P(TrainingPassTest, ThreadsInstructionSetsAndMicroBatchesGiveTheSameBits) {
  for (const float dropout : {0.0f, 0.2f}) {
    config_.embd_pdrop = config_.attn_pdrop = config_.resid_pdrop = dropout;
    Context one(1, BestIsa());
    const Result want = RunPass(one, config_, Options(config_), flat_, {batch_});
    Context three(3, BestIsa());
    EXPECT_TRUE(SameBits(RunPass(three, config_, Options(config_), flat_, {batch_}).gradients, want.gradients));
    const Result split = RunPass(three, config_, Options(config_), flat_, {batch_.Part(0, 1), batch_.Part(1, 3)});
    EXPECT_TRUE(SameBits(split.losses, want.losses));
    EXPECT_TRUE(SameBits(split.gradients, want.gradients));
    for (const Isa isa : SupportedIsas()) {
      Context context(2, isa);
      EXPECT_TRUE(SameBits(RunPass(context, config_, Options(config_), flat_, {batch_}).gradients, want.gradients))
          << IsaName(isa);
    }
  }
}

TEST_P(TrainingPassTest, RecomputationSavesMemoryAndChangesNoBit) {
  config_.num_hidden_layers = 4;
  config_.resid_pdrop = config_.attn_pdrop = 0.1;
  const ParameterList list(config_);
  const std::vector<float> flat = DrawParameters(list, 6);
  Context context(2, BestIsa());
  TrainingPassOptions options = Options(config_);
  const Result want = RunPass(context, config_, options, flat, {batch_});
  const int64_t bytes = TrainingPass(config_, list, options).activation_bytes();
  options.recompute = true;
  EXPECT_TRUE(SameBits(RunPass(context, config_, options, flat, {batch_}).gradients, want.gradients));
  EXPECT_LT(TrainingPass(config_, list, options).activation_bytes(), bytes * 3 / 4);
}

TEST_P(TrainingPassTest, ATokenOutsideTheVocabularyIsRefused) {
  Context context(1, BestIsa());
  batch_.tokens[3] = static_cast<int32_t>(config_.vocab_size);
  EXPECT_THROW(RunPass(context, config_, Options(config_), flat_, {batch_}), Error);
}

INSTANTIATE_TEST_SUITE_P(Configs, TrainingPassTest, ::testing::Range(0, 5),
                         [](const auto& param) { return TestConfigs()[param.param].name; });

}  // namespace
}  // namespace kinetok
