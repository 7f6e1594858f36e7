#include "kinetok/model/training_pass.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kinetok/base/error.h"
#include "kinetok/kernels/cross_entropy.h"
#include "kinetok/model/model.h"
#include "kinetok/model/program.h"
#include "kinetok/model/test_models.h"
#include "kinetok/model/training_plan.h"

namespace kinetok {
namespace {

PassResult RunPass(Context& context, const ModelConfig& config, const TrainingPassOptions& options,
                   std::span<const float> flat, const std::vector<RaggedBatch>& batches) {
  const ParameterList list(config);
  TrainingPass pass(config, list, options);
  return RunTrainingStep(context, pass, list, flat, batches);
}

std::vector<NamedConfig> Configs() {
  std::vector<NamedConfig> all = TestConfigs();
  all.push_back(TestVisionModel());
  return all;
}

class TrainingPassTest : public ::testing::TestWithParam<int> {
 protected:
  TrainingPassTest()
      : config_(Configs()[GetParam()].config),
        list_(config_),
        flat_(DrawParameters(list_, 6)),
        batch_(config_, {65, 130, 7}, 40) {
    for (const ParameterList::Linear& layer : list_.projector) {  // an image then matters as much as the text
      const Parameter& weight = list_.all[layer.weight];
      for (int64_t e = 0; e < weight.elements(); ++e) flat_[weight.offset + e] *= 4;
    }
    if (config_.scale_attention) return;
    for (const LayerParameters& layer : list_.layers) {  // q and k of half the size: scores as large as scaled ones
      const Parameter& qkv = list_.all[layer.qkv_weight];
      for (int64_t e = 0; e < qkv.elements() / 3 * 2; ++e) flat_[qkv.offset + e] /= 2;
    }
  }
  ModelConfig config_;
  ParameterList list_;
  std::vector<float> flat_;
  RaggedBatch batch_;
};

TEST_P(TrainingPassTest, LossesAreTheBitsThatInferenceComputes) {
  Context context(2, BestIsa());
  const PassResult r = RunPass(context, config_, TestPassOptions(config_), flat_, {batch_});
  const auto model = Model::FromParameters(context, config_, flat_, DType::kF32, nullptr);
  KvCache cache(config_);
  Workspace workspace, vision;
  Rows<const float> patches;
  if (!config_.towers.empty()) patches = model->EncodeImages(context, batch_.pixels, vision);
  std::vector<BatchRow> rows;
  size_t at = 0;
  int64_t patch = 0;
  for (const int32_t n : batch_.lengths) {
    const int id = cache.NewSequence();
    for (int32_t i = 0; i < n; ++i, ++at) {
      rows.push_back({batch_.tokens[at], id, true, batch_.tokens[at] < 0 ? patches[patch++] : nullptr});
    }
  }
  EXPECT_EQ(patch, patches.rows);
  const Rows<const float> logits = model->Forward(context, rows, cache, workspace);
  std::vector<float> copy(logits.data, logits.data + logits.rows * logits.width), losses(rows.size());
  CrossEntropy(context, batch_.labels, {}, Rows<float>(copy.data(), logits.rows, logits.width), losses);
  EXPECT_TRUE(SameBits(losses, r.losses));
  EXPECT_EQ(losses[0], 0.0f);  // label -1
}

TEST_P(TrainingPassTest, TheHeadInChunksOfSixteenRowsGivesTheSameBits) {
  Context context(2, BestIsa());
  TrainingPassOptions whole = TestPassOptions(config_), chunked = whole;
  chunked.logits_chunk_bytes = 16 * config_.vocab_size * 4;
  const Program program = Program::Compile(config_, list_, /*training=*/true, Program::Part::kAll);
  ASSERT_GE(TrainingPlan(config_, program, whole).chunk_rows, 202);
  ASSERT_EQ(TrainingPlan(config_, program, chunked).chunk_rows, 16);  // twelve, and one of ten rows
  const PassResult want = RunPass(context, config_, whole, flat_, {batch_});
  EXPECT_TRUE(SameBits(RunPass(context, config_, chunked, flat_, {batch_}), want));
  chunked.backward = false;
  std::vector<float> losses(batch_.tokens.size());
  TrainingPass(config_, list_, chunked).Forward(context, flat_, batch_.View(), losses);
  EXPECT_TRUE(SameBits(losses, want.losses));
}

// Along directions u that follow the gradient's own signs on half of a parameter's elements, drawn at random, then on
// the other half, and so again with another draw: there g . u is large against rounding, and a wrong column shows.
//
// With D(h) = (L(w + h u) - L(w - h u)) / 2h = L' + t + c h^4 + ..., t = b h^2:   (4 D(h) - D(2h)) / 3 = L' - 4 c h^4.
//
// Rounding: a loss below 16 is an f32 whose last place counts 2^-20 or less. It ends a chain of f32 operations; take
// the error of the whole chain as one such unit, and that of all rows in the worst direction: L is off by
// r = 2^-20 sum(weights), D(h) by r / h, D(2h) by r / 2h, and the result by (4 + 1 / 2) / 3 r / h = 1.5 r / h.
// Measured, it is a tenth of that, for the rows' errors have all signs; so have those of the f32 weights w + h u.
//
// Truncation: t is D(h) less the result. Let the terms go on falling as from L' to t: c h^4 = t^2 / L', times 4.
TEST_P(TrainingPassTest, TheGradientIsTheDerivativeOfTheLoss) {
  Context context(2, BestIsa());
  const PassResult r = RunPass(context, config_, TestPassOptions(config_), flat_, {batch_});
  EXPECT_LT(*std::max_element(r.losses.begin(), r.losses.end()), 16.0f);
  const double rounding = std::ldexp(std::accumulate(batch_.weights.begin(), batch_.weights.end(), 0.0), -20);
  TrainingPassOptions forward = TestPassOptions(config_);
  forward.backward = false;
  TrainingPass pass(config_, list_, forward);
  for (size_t i = 0; i < list_.all.size(); ++i) {
    const Parameter& p = list_.all[i];
    for (uint64_t draw = 0; draw < 4; ++draw) {
      std::vector<float> direction(list_.elements, 0.0f);
      double expected = 0, count = 0;
      for (int64_t e = p.offset; e < p.offset + p.elements(); ++e) {
        const Philox4 bits = RandomBits(60 + draw / 2, RandomStream::kTest, static_cast<uint32_t>(i), e);
        if (bits[0] % 2 != draw % 2) continue;
        direction[e] = r.gradients[e] > 0 ? 1.0f : -1.0f;
        expected += static_cast<double>(r.gradients[e]) * direction[e];
        count += 1;
      }
      const auto loss = [&](double step) {
        std::vector<float> moved = flat_, losses(batch_.tokens.size());
        for (size_t e = 0; e < moved.size(); ++e) moved[e] += static_cast<float>(step) * direction[e];
        pass.Forward(context, moved, batch_.View(), losses);
        double sum = 0;
        for (size_t k = 0; k < losses.size(); ++k) sum += static_cast<double>(losses[k]) * batch_.weights[k];
        return sum;
      };
      // All elements together move by 0.05, or by more where the loss hardly follows, as some of a tower's do.
      const double h = (expected < 0.15 ? 0.1 : 0.05) / std::sqrt(count);
      const double near = (loss(h) - loss(-h)) / (2 * h), far = (loss(2 * h) - loss(-2 * h)) / (4 * h);
      const double derivative = (4 * near - far) / 3, t = near - derivative;
      const double tolerance = 1.5 * rounding / h + 4 * t * t / std::abs(derivative);
      EXPECT_NEAR(derivative, expected, tolerance) << p.name << ", draw " << draw;
      EXPECT_LT(tolerance, (config_.towers.empty() ? 2e-3 : 1.5e-2) * expected)
          << p.name << ": too loose to show an error";
    }
  }
}

TEST_P(TrainingPassTest, InstructionSetsAndMicroBatchesGiveTheSameBits) {
  for (const float dropout : {0.0f, 0.2f}) {
    config_.embd_pdrop = config_.attn_pdrop = config_.resid_pdrop = dropout;
    Context context(2, BestIsa());
    const PassResult want = RunPass(context, config_, TestPassOptions(config_), flat_, {batch_});
    TrainingPassOptions smaller = TestPassOptions(config_);
    smaller.max_rows = 137;
    for (const int64_t step_rows : {0, 202}) {  // 0: the reserve for the embeddings' gradients has to grow
      smaller.step_rows = step_rows;
      const PassResult split = RunPass(context, config_, smaller, flat_, {batch_.Part(0, 1), batch_.Part(1, 3)});
      EXPECT_TRUE(SameBits(split, want)) << step_rows;
    }
    for (const Isa isa : SupportedIsas()) {
      Context other(2, isa);
      EXPECT_TRUE(SameBits(RunPass(other, config_, TestPassOptions(config_), flat_, {batch_}), want)) << IsaName(isa);
    }
  }
}

TEST_P(TrainingPassTest, RecomputationSavesMemoryAndChangesNoBit) {
  config_.num_hidden_layers = 4;
  config_.resid_pdrop = config_.attn_pdrop = 0.1;
  const ParameterList list(config_);
  const std::vector<float> flat = DrawParameters(list, 6);
  Context context(2, BestIsa());
  TrainingPassOptions options = TestPassOptions(config_);
  const PassResult want = RunPass(context, config_, options, flat, {batch_});
  const int64_t bytes = TrainingPass(config_, list, options).activation_bytes();
  options.recompute = true;
  EXPECT_TRUE(SameBits(RunPass(context, config_, options, flat, {batch_}), want));
  EXPECT_LT(TrainingPass(config_, list, options).activation_bytes(), bytes * 3 / 4);
}

TEST_P(TrainingPassTest, ATokenOutsideTheVocabularyIsRefused) {
  Context context(1, BestIsa());
  batch_.tokens[3] = static_cast<int32_t>(config_.vocab_size);
  EXPECT_THROW(RunPass(context, config_, TestPassOptions(config_), flat_, {batch_}), Error);
}

INSTANTIATE_TEST_SUITE_P(Configs, TrainingPassTest, ::testing::Range(0, static_cast<int>(Configs().size())),
                         [](const auto& param) { return Configs()[param.param].name; });

}  // namespace
}  // namespace kinetok
