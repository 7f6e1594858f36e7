#include "kinetok/decode/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kinetok/base/error.h"
#include "kinetok/decode/generate.h"
#include "kinetok/decode/logits.h"
#include "kinetok/model/test_models.h"

namespace kinetok {
namespace {

class TraceTest : public ::testing::Test {
 protected:
  TraceTest() {
    config_ = TestConfigs()[0].config;
    config_.max_position_embeddings = 20;
    model_ = Model::FromParameters(context_, config_, DrawParameters(ParameterList(config_), 5), DType::kF32, nullptr);
  }
  Context context_{1, BestIsa()};
  ModelConfig config_;
  std::shared_ptr<const Model> model_;
  std::vector<int32_t> prompt_ = DrawTokens(6, 333, 3);
};

TEST_F(TraceTest, StepsChooseWhatGenerateChooses) {
  for (const SamplerOptions& sampler :
       {SamplerOptions{.greedy = true}, SamplerOptions{.temperature = 0.8, .seed = 9}}) {
    GenerateOptions options{.sampler = sampler, .max_new_tokens = 7};
    const Generation generated = Generate(context_, model_, prompt_, options);
    const std::vector<TracedStep> trace = TraceGeneration(context_, *model_, prompt_, sampler, 7, 4);
    ASSERT_EQ(trace.size(), generated.tokens.size());
    for (size_t i = 0; i < trace.size(); ++i) EXPECT_EQ(trace[i].choice.token, generated.tokens[i]);
  }
}

TEST_F(TraceTest, TheCacheSavesAllButTheNewPositionAndChangesNoBit) {
  const std::vector<TracedStep> trace = TraceGeneration(context_, *model_, prompt_, {.greedy = true}, 5, 3);
  ASSERT_EQ(trace.size(), 5u);
  for (size_t i = 0; i < trace.size(); ++i) {
    EXPECT_EQ(trace[i].cached_rows, i == 0 ? 6 : 1);
    EXPECT_EQ(trace[i].recomputed_rows, static_cast<int64_t>(6 + i));
    EXPECT_TRUE(trace[i].same_bits);
    EXPECT_GT(trace[i].cached_s, 0);
    EXPECT_GT(trace[i].recomputed_s, 0);
    ASSERT_EQ(trace[i].top.size(), 3u);
    EXPECT_GE(trace[i].top[0].probability, trace[i].top[1].probability);
    EXPECT_EQ(trace[i].top[0], trace[i].choice);  // greedy
  }
}

TEST_F(TraceTest, RowsInPlaceOfTokensAreReadByBothWays) {
  const std::vector<int32_t> tokens = {prompt_[0], Prompt::kEmbedding, Prompt::kEmbedding, prompt_[1]};
  std::vector<float> rows(2 * config_.hidden_size, 0.25f);
  const Prompt prompt(tokens, {rows.data(), 2, config_.hidden_size});
  const std::vector<TracedStep> trace = TraceGeneration(context_, *model_, prompt, {.greedy = true}, 3, 2);
  const Generation generated = Generate(context_, model_, prompt, {.sampler = {.greedy = true}, .max_new_tokens = 3});
  ASSERT_EQ(trace.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(trace[i].choice.token, generated.tokens[i]);
    EXPECT_EQ(trace[i].cached_rows, i == 0 ? 4 : 1);
    EXPECT_TRUE(trace[i].same_bits);
  }
}

TEST_F(TraceTest, StepsEndWithTheContextAndTheEndOfTheText) {
  EXPECT_EQ(TraceGeneration(context_, *model_, prompt_, {.greedy = true}, 100, 1).size(), 15u);
  // The first token drawn that none before it equals ends the text.
  const SamplerOptions drawn{.temperature = 1, .seed = 2};
  std::vector<int32_t> tokens;
  for (const TracedStep& step : TraceGeneration(context_, *model_, prompt_, drawn, 100, 1)) {
    tokens.push_back(step.choice.token);
  }
  size_t end = 1;
  while (std::find(tokens.begin(), tokens.begin() + static_cast<long>(end), tokens[end]) !=
         tokens.begin() + static_cast<long>(end)) {
    ++end;
  }
  ASSERT_LT(end, tokens.size() - 1);
  config_.eos_token_ids = {tokens[end]};
  model_ = Model::FromParameters(context_, config_, DrawParameters(ParameterList(config_), 5), DType::kF32, nullptr);
  EXPECT_EQ(TraceGeneration(context_, *model_, prompt_, drawn, 100, 1).size(), end + 1);
}

TEST_F(TraceTest, TeacherForcingGivesEveryTargetItsProbability) {
  const TeacherForcing trace = TraceTeacherForcing(context_, *model_, prompt_);
  ASSERT_EQ(trace.targets.size(), 5u);
  EXPECT_TRUE(trace.same_bits);
  EXPECT_GT(trace.parallel_s, 0);
  EXPECT_GT(trace.single_s, 0);
  double sum = 0;
  for (size_t i = 0; i < 5; ++i) {
    const std::vector<float> logits = NextLogits(context_, *model_, std::span(prompt_).first(i + 1));
    EXPECT_EQ(trace.targets[i].token, prompt_[i]);
    EXPECT_EQ(trace.targets[i].target, prompt_[i + 1]);
    EXPECT_EQ(trace.targets[i].loss, -LogProbability(logits, prompt_[i + 1]));
    EXPECT_NEAR(trace.targets[i].probability, std::exp(-trace.targets[i].loss), 1e-15);
    sum += trace.targets[i].loss;
  }
  EXPECT_NEAR(trace.mean_loss, sum / 5, 1e-12);
}

TEST_F(TraceTest, WhatCannotBeTracedIsAnError) {
  EXPECT_THROW(TraceGeneration(context_, *model_, std::vector<int32_t>(), {}, 1, 1), Error);
  EXPECT_THROW(TraceGeneration(context_, *model_, prompt_, {}, 0, 1), Error);
  EXPECT_THROW(TraceGeneration(context_, *model_, prompt_, {}, 1, 0), Error);
  EXPECT_THROW(TraceGeneration(context_, *model_, DrawTokens(21, 333, 1), {}, 1, 1), Error);
  EXPECT_THROW(TraceTeacherForcing(context_, *model_, std::span(prompt_).first(1)), Error);
}

}  // namespace
}  // namespace kinetok
