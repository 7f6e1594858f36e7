#include "kinetok/decode/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "kinetok/base/error.h"
#include "kinetok/decode/logits.h"
#include "kinetok/model/presets.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

// A model whose logits differ enough that a wrong cache row changes tokens.
std::shared_ptr<const Model> RandomModel(Context& context, ModelConfig config) {
  return Model::Random(context, config, /*seed=*/3, DType::kF32);
}

std::vector<int32_t> MakePrompt(int64_t length, int32_t first) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < length; ++i) ids.push_back((first + i * 37) % 512);
  return ids;
}

struct Output {
  std::vector<int32_t> tokens;
  std::vector<double> logprobs;
  std::optional<FinishReason> finish;
  bool operator==(const Output&) const = default;
};

std::map<int, Output> RunAll(Engine& engine) {
  std::map<int, Output> out;
  while (!engine.idle()) {
    for (const NewToken& t : engine.Step()) {
      Output& o = out[t.sequence];
      EXPECT_FALSE(o.finish) << "a token after the last one";
      o.tokens.push_back(t.token);
      o.logprobs.push_back(t.logprob);
      o.finish = t.finish;
    }
  }
  return out;
}

class EngineTest : public ::testing::Test {
 protected:
  Context context_{2, BestIsa()};
  std::shared_ptr<const Model> model_ = RandomModel(context_, Preset("tiny"));
  SequenceOptions options_{.sampler = {.seed = 9}, .max_new_tokens = 12, .logprobs = true};
};

TEST_F(EngineTest, NeitherCompanyNorPiecesChangeASequence) {
  // Lengths on both sides of a page of keys and of a piece of prompt.
  const std::vector<int64_t> lengths = {1, 7, 63, 64, 65, 100};
  std::vector<Output> alone;
  for (int64_t length : lengths) {
    Engine engine(context_, model_);
    engine.Add(MakePrompt(length, 5), options_);
    alone.push_back(RunAll(engine).at(0));
    EXPECT_EQ(alone.back().tokens.size(), 12u);
  }
  for (int64_t prefill_rows : {1, 10, 64, 512}) {
    Engine engine(context_, model_, {.prefill_rows = prefill_rows});
    for (int64_t length : lengths) engine.Add(MakePrompt(length, 5), options_);
    const std::map<int, Output> together = RunAll(engine);
    for (size_t i = 0; i < lengths.size(); ++i) EXPECT_EQ(together.at(static_cast<int>(i)), alone[i]) << lengths[i];
  }
}

TEST_F(EngineTest, ASequenceThatJoinsLateGetsItsOwnTokens) {
  Engine alone(context_, model_);
  alone.Add(MakePrompt(20, 1), options_);
  const Output expected = RunAll(alone).at(0);

  Engine engine(context_, model_);
  engine.Add(MakePrompt(40, 2), options_);
  engine.Step();
  engine.Step();
  const int late = engine.Add(MakePrompt(20, 1), options_);
  EXPECT_EQ(RunAll(engine).at(late), expected);
}

TEST_F(EngineTest, CachedDecodingAgreesWithRecomputation) {
  options_.sampler.greedy = true;
  const std::vector<int32_t> prompt = MakePrompt(60, 8);
  Engine engine(context_, model_);
  engine.Add(prompt, options_);
  const Output out = RunAll(engine).at(0);
  std::vector<int32_t> all = prompt;
  all.insert(all.end(), out.tokens.begin(), out.tokens.end());
  ForEachLogits(context_, *model_, all, [&](int64_t first, Rows<const float> logits) {
    for (int64_t i = 0; i < logits.rows; ++i) {
      const int64_t next = first + i + 1 - static_cast<int64_t>(prompt.size());
      if (next < 0 || next >= static_cast<int64_t>(out.tokens.size())) continue;
      const Span<const float> row(logits[i], static_cast<size_t>(logits.width));
      EXPECT_EQ(Argmax(row), out.tokens[static_cast<size_t>(next)]);
      EXPECT_EQ(LogProbability(row, out.tokens[static_cast<size_t>(next)]), out.logprobs[static_cast<size_t>(next)]);
    }
  });
}

TEST_F(EngineTest, EndOfTextEndsASequenceAndIsListed) {
  Engine free(context_, model_);
  free.Add(MakePrompt(10, 3), options_);
  const Output all = RunAll(free).at(0);
  EXPECT_EQ(all.finish, FinishReason::kLength);

  ModelConfig config = Preset("tiny");
  config.eos_token_ids = {511, all.tokens[4]};
  const auto with_eos = RandomModel(context_, config);
  Engine engine(context_, with_eos);
  engine.Add(MakePrompt(10, 3), options_);
  options_.ignore_eos = true;
  engine.Add(MakePrompt(10, 3), options_);
  const std::map<int, Output> out = RunAll(engine);
  EXPECT_EQ(out.at(0).finish, FinishReason::kEos);
  EXPECT_EQ(out.at(0).tokens.back(), all.tokens[4]);
  EXPECT_LE(out.at(0).tokens.size(), 5u);
  EXPECT_EQ(out.at(1), all);
}

TEST_F(EngineTest, TheEndOfTheContextEndsASequence) {
  options_.max_new_tokens = 1000;
  Engine engine(context_, model_);
  engine.Add(MakePrompt(120, 1), options_);
  engine.Add(MakePrompt(128, 1), options_);
  const std::map<int, Output> out = RunAll(engine);
  EXPECT_EQ(out.at(0).tokens.size(), 9u);  // positions 120..127, and one that is never read
  EXPECT_EQ(out.at(1).tokens.size(), 1u);
  EXPECT_EQ(out.at(0).finish, FinishReason::kLength);
}

TEST_F(EngineTest, ARemovedSequenceIsGoneAndTheOthersGoOn) {
  Engine alone(context_, model_);
  alone.Add(MakePrompt(20, 1), options_);
  const Output expected = RunAll(alone).at(0);

  Engine engine(context_, model_);
  const int first = engine.Add(MakePrompt(30, 4), options_), second = engine.Add(MakePrompt(20, 1), options_);
  const std::span<const NewToken> step = engine.Step();
  ASSERT_EQ(step.size(), 2u);
  Output got{{step[1].token}, {step[1].logprob}, step[1].finish};
  engine.Remove(first);
  engine.Remove(first);
  EXPECT_EQ(engine.running(), 1);
  const std::map<int, Output> rest = RunAll(engine);
  EXPECT_FALSE(rest.contains(first));
  const Output& r = rest.at(second);
  got.tokens.insert(got.tokens.end(), r.tokens.begin(), r.tokens.end());
  got.logprobs.insert(got.logprobs.end(), r.logprobs.begin(), r.logprobs.end());
  got.finish = r.finish;
  EXPECT_EQ(got, expected);
}

TEST_F(EngineTest, SamplesOfAPromptAreWhatEachGivesAloneAndRunThePromptOnce) {
  for (int64_t length : {1, 63, 64, 100}) {
    Engine engine(context_, model_);
    EXPECT_EQ(engine.Add(MakePrompt(20, 7), options_), 0);
    EXPECT_EQ(engine.Add(MakePrompt(length, 5), options_, /*samples=*/3), 1);
    EXPECT_EQ(engine.Add(MakePrompt(20, 1), options_), 4);
    EXPECT_EQ(engine.running(), 5);
    std::vector<int> order;
    for (const NewToken& t : engine.Step()) order.push_back(t.sequence);
    EXPECT_THAT(order, ::testing::ElementsAre(0, 1, 2, 3, 4));
  }
  Engine together(context_, model_);
  together.Add(MakePrompt(70, 5), options_, /*samples=*/3);
  together.Add(MakePrompt(20, 1), options_);
  const std::map<int, Output> out = RunAll(together);
  for (uint32_t i = 0; i < 3; ++i) {
    SequenceOptions options = options_;
    options.sampler.sequence = i;
    Engine alone(context_, model_);
    alone.Add(MakePrompt(70, 5), options);
    EXPECT_EQ(out.at(static_cast<int>(i)), RunAll(alone).at(0)) << i;
  }
  EXPECT_NE(out.at(0), out.at(1));
}

TEST_F(EngineTest, ASampleMayBeRemovedBeforeOrAfterThePromptIsThrough) {
  Engine whole(context_, model_);
  whole.Add(MakePrompt(70, 5), options_, /*samples=*/3);
  const std::map<int, Output> expected = RunAll(whole);
  for (int removed = 0; removed < 3; ++removed) {
    Engine engine(context_, model_);
    engine.Add(MakePrompt(70, 5), options_, /*samples=*/3);
    engine.Remove(removed);
    const std::map<int, Output> out = RunAll(engine);
    EXPECT_EQ(out.size(), 2u);
    for (const auto& [id, output] : out) EXPECT_EQ(output, expected.at(id)) << id;
  }
  Engine none(context_, model_);
  none.Add(MakePrompt(70, 5), options_, /*samples=*/2);
  none.Remove(0);
  none.Remove(1);
  EXPECT_TRUE(none.idle());
  EXPECT_TRUE(none.Step().empty());
}

TEST_F(EngineTest, TheLikeliestTokensComeWithEachOne) {
  options_.sampler.greedy = true;
  options_.top_logprobs = 3;
  Engine engine(context_, model_);
  engine.Add(MakePrompt(10, 3), options_);
  while (!engine.idle()) {
    for (const NewToken& t : engine.Step()) {
      ASSERT_EQ(t.top.size(), 3u);
      EXPECT_EQ(t.top[0], (TokenLogprob{t.token, t.logprob}));
      EXPECT_GE(t.top[1].logprob, t.top[2].logprob);
    }
  }
}

TEST_F(EngineTest, EveryOptionGivesTheSameTokensInAnyCompanyAndOnAnyThreads) {
  const std::vector<SamplerOptions> samplers = {
      {.temperature = 0.7, .top_k = 40, .top_p = 0.9, .seed = 3},
      {.min_p = 0.05, .typical_p = 0.9, .order = FilterOrder::kLlamaCpp, .seed = 4},
      {.repetition_penalty = 1.3, .presence_penalty = 0.5, .frequency_penalty = 0.2, .no_repeat_ngram_size = 2},
      {.greedy = true, .logit_bias = {{7, 2}}, .bad_words = {{9}, {3, 4}}, .min_new_tokens = 5},
      {.allowed_tokens = {{1, 2, 3}, {100, 200, 300, 400}}, .seed = 8}};
  const auto run = [&](Context& context, std::span<const SamplerOptions> some) {
    Engine engine(context, model_, {.prefill_rows = 30});
    for (const SamplerOptions& sampler : some) {
      options_.sampler = sampler;
      engine.Add(MakePrompt(50, 5), options_);
    }
    return RunAll(engine);
  };
  const std::map<int, Output> together = run(context_, samplers);
  Context single(1, BestIsa());
  for (size_t i = 0; i < samplers.size(); ++i) {
    EXPECT_EQ(run(single, {&samplers[i], 1}).at(0), together.at(static_cast<int>(i))) << i;
  }
}

TEST_F(EngineTest, PromptsThatDoNotFitAreErrorsWithTheNumbers) {
  Engine engine(context_, model_);
  const auto message = [&](const std::vector<int32_t>& prompt, const SequenceOptions& options) -> std::string {
    try {
      engine.Add(prompt, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message({}, options_), HasSubstr("empty"));
  EXPECT_THAT(message(MakePrompt(129, 0), options_), HasSubstr("129 tokens, the model's context holds 128"));
  EXPECT_THAT(message({1, 512}, options_), HasSubstr("512 is outside the model's vocabulary of 512"));
  EXPECT_THAT(message({-1}, options_), HasSubstr("-1"));
  EXPECT_THAT(message({1}, {.max_new_tokens = 0}), HasSubstr("max_new_tokens is 0"));
  EXPECT_THAT(message({1}, {.sampler = {.top_p = 2}}), HasSubstr("top_p is 2"));
  EXPECT_THAT(message({1}, {.sampler = {.min_new_tokens = 6}, .max_new_tokens = 5}),
              HasSubstr("min_new_tokens is 6; it must be at most max_new_tokens, 5"));
  EXPECT_THAT(message({1}, {.top_logprobs = -1}), HasSubstr("top_logprobs is -1"));
  EXPECT_THAT(message({1}, {.sampler = {.logit_bias = {{512, 1}}}}),
              HasSubstr("logit_bias names token 512, the model's vocabulary has 512"));
  EXPECT_TRUE(engine.idle());
}

TEST_F(EngineTest, TheFingerprintIsTheSameOnEveryInstructionSetAndThreadCount) {
  const std::string expected = Fingerprint(context_, *model_);
  EXPECT_EQ(expected.size(), 64u);
  for (Isa isa : SupportedIsas()) {
    Context other(isa == BestIsa() ? 3 : 1, isa);
    EXPECT_EQ(Fingerprint(other, *model_), expected) << IsaName(isa);
  }
  EXPECT_NE(Fingerprint(context_, *Model::Random(context_, Preset("tiny"), /*seed=*/4, DType::kF32)), expected);
}

}  // namespace
}  // namespace kinetok
