#include "kinetok/decode/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kinetok/decode/decode_test_support.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string CheckError(const SamplerOptions& options) {
  return ErrorOf([&] { options.Check(); });
}

std::vector<std::pair<int32_t, double>> Rounded(const Distribution& distribution) {
  std::vector<std::pair<int32_t, double>> out;
  for (const TokenProbability& t : distribution.kept) {
    out.emplace_back(t.token, std::round(t.probability * 1e4) / 1e4);
  }
  return out;
}

std::vector<int32_t> KeptTokens(const SamplerOptions& options, const std::vector<float>& logits,
                                const History& history = {}) {
  std::vector<int32_t> out;
  for (const TokenProbability& t : Distribute(logits, options, history).kept) out.push_back(t.token);
  return out;
}

TEST(Distribute, GivesTheNotesKeptSetsRenormalised) {
  const auto kept = [](const SamplerOptions& options) { return Rounded(DistributeProbabilities(kExample, options)); };
  EXPECT_THAT(kept({.greedy = true}), ElementsAre(Pair(0, 1)));
  EXPECT_THAT(kept({.top_k = 3}), ElementsAre(Pair(0, 0.4706), Pair(1, 0.3529), Pair(2, 0.1765)));
  EXPECT_THAT(kept({.top_p = 0.7}), ElementsAre(Pair(0, 0.5714), Pair(1, 0.4286)));
  EXPECT_THAT(kept({.top_p = 0.9}), ElementsAre(Pair(0, 0.4211), Pair(1, 0.3158), Pair(2, 0.1579), Pair(3, 0.1053)));
  EXPECT_THAT(kept({.min_p = 0.26}), ElementsAre(Pair(0, 0.4706), Pair(1, 0.3529), Pair(2, 0.1765)));
  EXPECT_THAT(kept({.typical_p = 0.3}), ElementsAre(Pair(1, 1)));
  // Squared: 16 : 9 : 2.25 : 1 : 0.25 of 28.5.
  EXPECT_THAT(kept({.temperature = 0.5}),
              ElementsAre(Pair(0, 0.5614), Pair(1, 0.3158), Pair(2, 0.0789), Pair(3, 0.0351), Pair(4, 0.0088)));
}

TEST(Distribute, GivesTheEntropyOfWhatIsKept) {
  const auto entropy = [](const SamplerOptions& options) { return DistributeProbabilities(kExample, options).entropy; };
  EXPECT_NEAR(entropy({}), 1.392321, 1e-6);
  EXPECT_NEAR(entropy({.temperature = 0.5}), 1.047642, 1e-6);
  EXPECT_NEAR(entropy({.temperature = 2}), 1.545417, 1e-6);
  EXPECT_NEAR(entropy({.top_p = 0.7}), 0.682908, 1e-6);
  EXPECT_EQ(entropy({.top_k = 1}), 0);
  EXPECT_FALSE(std::signbit(entropy({.greedy = true})));
}

TEST(Distribute, SortsByProbabilityAndLeavesOutTheImpossible) {
  EXPECT_THAT(Rounded(DistributeProbabilities(std::vector<double>{0.25, 0, 0.5, 0.25}, {})),
              ElementsAre(Pair(2, 0.5), Pair(0, 0.25), Pair(3, 0.25)));
  EXPECT_THAT(KeptTokens({}, {0, -2000, 0}), ElementsAre(0, 2)) << "exp(-2000) underflows";
}

TEST(Distribute, ProbabilitiesThatAreNoneAreErrors) {
  const auto error = [](const std::vector<double>& p) { return ErrorOf([&] { DistributeProbabilities(p, {}); }); };
  EXPECT_THAT(error({0.5, -0.1}), HasSubstr("a probability is -0.1"));
  EXPECT_THAT(error({0.5, std::nan("")}), HasSubstr("a probability is nan"));
  EXPECT_THAT(error({0.5, kInfinity}), HasSubstr("a probability is inf"));
  EXPECT_THAT(error({0, 0}), HasSubstr("no probability is above 0"));
  EXPECT_THAT(error({}), HasSubstr("no probability is above 0"));
}

TEST(Sampler, TheLimitsOfEveryOptionAreGreedy) {
  const std::vector<float> logits = LogitsOf({0.2, 0.3, 0.1, 0.3, 0.1});
  const std::vector<SamplerOptions> limits = {{.greedy = true}, {.temperature = 0}, {.temperature = 1e-9, .top_k = 1},
                                              {.top_k = 1},     {.top_p = 1e-9},    {.temperature = 5, .top_p = 0.01},
                                              {.top_p = 1e-300}};
  for (const SamplerOptions& options : limits) {
    Sampler sampler(options);
    for (int64_t position = 0; position < 50; ++position) EXPECT_EQ(sampler.Choose(logits, position), 1);
  }
  // Without a tie, temperature alone is enough, and so is a min-p of 1.
  for (const SamplerOptions& options :
       std::vector<SamplerOptions>{{.temperature = 1e-6},
                                   {.temperature = 1e-300},
                                   {.temperature = 1e-300, .order = FilterOrder::kLlamaCpp},
                                   {.min_p = 1}}) {
    Sampler sampler(options);
    for (int64_t position = 0; position < 50; ++position) EXPECT_EQ(sampler.Choose(LogitsOf(kExample), position), 0);
  }
}

TEST(Sampler, TheChainRunsInHuggingFacesOrder) {
  // Temperature comes first: at 0.5 the probabilities go as 16 : 9 : 2.25 : 1 : 0.25, and top-p 0.8 keeps two of them;
  // at 1 it would keep three.
  Sampler sampler({.temperature = 0.5, .top_k = 4, .top_p = 0.8, .seed = 3});
  std::vector<int> counts(kExample.size());
  for (int i = 0; i < 20000; ++i) ++counts[static_cast<size_t>(sampler.Choose(LogitsOf(kExample), i))];
  EXPECT_NEAR(counts[0] / 20000.0, 0.64, 0.015);
  EXPECT_NEAR(counts[1] / 20000.0, 0.36, 0.015);
  EXPECT_EQ(counts[2] + counts[3] + counts[4], 0);
}

TEST(Sampler, TheOrderOfLlamaCppPutsTemperatureLast) {
  // At temperature 1 top-p 0.8 keeps three; squared they go as 16 : 9 : 2.25.
  SamplerOptions options{.temperature = 0.5, .top_p = 0.8, .order = FilterOrder::kLlamaCpp};
  EXPECT_THAT(Rounded(DistributeProbabilities(kExample, options)),
              ElementsAre(Pair(0, 0.5872), Pair(1, 0.3303), Pair(2, 0.0826)));
  // Typical-p goes before top-p there: {1} against {0, 1} -> {0}.
  options = {.top_p = 0.5, .typical_p = 0.3, .order = FilterOrder::kLlamaCpp};
  EXPECT_THAT(KeptTokens(options, LogitsOf(kExample)), ElementsAre(1));
  // Hugging Face: top-p 0.5 keeps {0, 1}, of which {0} has the surprise nearest to the entropy.
  options.order = FilterOrder::kHuggingFace;
  EXPECT_THAT(KeptTokens(options, LogitsOf(kExample)), ElementsAre(0));
}

TEST(Sampler, ProcessorsComeBeforeGreedyAndBeforeTheFilters) {
  const std::vector<int32_t> tokens = {0, 0, 1};
  const std::vector<float> logits = {4, 3, 2.5, -1};
  const History history{.tokens = tokens, .prompt_tokens = 1};
  const auto greedy = [&](SamplerOptions options) {
    options.greedy = true;
    return Sampler(options).Choose(logits, 3, history);
  };
  EXPECT_EQ(greedy({}), 0);
  EXPECT_EQ(greedy({.repetition_penalty = 2}), 2);
  EXPECT_EQ(greedy({.presence_penalty = 2}), 2);
  EXPECT_EQ(greedy({.frequency_penalty = 1.4}), 0) << "once in the output: 2.6, 1.6, 2.5";
  EXPECT_EQ(greedy({.frequency_penalty = 1.6}), 2);
  EXPECT_EQ(greedy({.no_repeat_ngram_size = 1}), 2);
  EXPECT_EQ(greedy({.bad_words = {{1, 0}}}), 1);
  EXPECT_EQ(greedy({.allowed_tokens = {{1, 3}}}), 1);
  EXPECT_EQ(greedy({.logit_bias = {{3, 5.5}}}), 3);
  // The bias is added before the penalty: (4 + 2) / 2 = 3 beats 2.5.
  EXPECT_EQ(greedy({.logit_bias = {{0, 2}}, .repetition_penalty = 2}), 0);
  EXPECT_THAT(KeptTokens({.top_k = 2, .bad_words = {{0}}}, logits, history), ElementsAre(1, 2));
}

TEST(Sampler, AnEndIsBannedBeforeMinNewTokens) {
  const std::vector<int32_t> tokens = {5, 6, 7}, eos = {0, 1};
  const std::vector<float> logits = {4, 3, 2};
  SamplerOptions options{.greedy = true, .min_new_tokens = 2};
  for (size_t prompt : {1u, 2u, 3u}) {
    EXPECT_EQ(Sampler(options).Choose(logits, 3, {tokens, prompt, eos}), prompt == 1 ? 0 : 2) << prompt;
  }
}

TEST(Sampler, AllowedTokensMayBeASetPerPositionAndTheLastStays) {
  const std::vector<int32_t> tokens = {9, 9, 9, 9};
  const SamplerOptions options{.greedy = true, .allowed_tokens = {{3}, {1, 2}}};
  const std::vector<float> logits = {4, 3, 2, 1};
  EXPECT_EQ(Sampler(options).Choose(logits, 4, {tokens, 4, {}}), 3);
  EXPECT_EQ(Sampler(options).Choose(logits, 4, {tokens, 3, {}}), 1);
  EXPECT_EQ(Sampler(options).Choose(logits, 4, {tokens, 1, {}}), 1);
}

TEST(Sampler, WhenNoTokenIsLeftTheErrorSaysWhatBannedThem) {
  const std::vector<int32_t> tokens = {0, 1, 2};
  const std::vector<float> logits = {4, 3, 2};
  for (const bool greedy : {true, false}) {
    const SamplerOptions options{.greedy = greedy, .no_repeat_ngram_size = 1};
    EXPECT_THAT(ErrorOf([&] {
                  Sampler(options).Choose(logits, 3, {tokens, 2, {}});
                }),
                AllOf(HasSubstr("no token is left to choose new token 1 from"), HasSubstr("no_repeat_ngram_size"),
                      HasSubstr("vocabulary of 3")));
  }
}

TEST(Sampler, ProcessorsDoNotHideDamagedLogits) {
  const std::vector<float> logits = {1, std::numeric_limits<float>::quiet_NaN()};
  for (const SamplerOptions& options :
       std::vector<SamplerOptions>{{}, {.greedy = true}, {.repetition_penalty = 2}, {.logit_bias = {{0, 1}}}}) {
    EXPECT_THAT(ErrorOf([&] { Sampler(options).Choose(logits, 0); }), HasSubstr("NaN"));
  }
}

TEST(Sampler, ADrawDependsOnSeedSequenceAndPositionAlone) {
  const std::vector<float> logits = LogitsOf(std::vector<double>(100, 0.01));
  Sampler a({.seed = 5}), b({.seed = 5}), other_seed({.seed = 6}), other_sequence({.seed = 5, .sequence = 1});
  std::vector<int32_t> forward, backward;
  int seeds_differ = 0, sequences_differ = 0;
  for (int64_t p = 0; p < 100; ++p) {
    forward.push_back(a.Choose(logits, p));
    seeds_differ += other_seed.Choose(logits, p) != forward.back() ? 1 : 0;
    sequences_differ += other_sequence.Choose(logits, p) != forward.back() ? 1 : 0;
  }
  for (int64_t p = 99; p >= 0; --p) backward.push_back(b.Choose(logits, p));
  EXPECT_TRUE(std::equal(forward.begin(), forward.end(), backward.rbegin()));
  EXPECT_GT(seeds_differ, 80);
  EXPECT_GT(sequences_differ, 80);
}

TEST(Sampler, ATokenOfProbabilityZeroIsNeverDrawn) {
  std::vector<float> logits(10, -std::numeric_limits<float>::infinity());
  logits[4] = 0;
  Sampler sampler({.seed = 1});
  for (int64_t p = 0; p < 1000; ++p) EXPECT_EQ(sampler.Choose(logits, p), 4);
}

TEST(SamplerOptions, ErrorsNameTheFieldAndTheValue) {
  EXPECT_THAT(CheckError({.temperature = -0.5}), StartsWith("temperature is -0.5;"));
  EXPECT_THAT(CheckError({.temperature = std::nan("")}), StartsWith("temperature is nan;"));
  EXPECT_THAT(CheckError({.temperature = kInfinity}), StartsWith("temperature is inf;"));
  EXPECT_THAT(CheckError({.top_k = -1}), StartsWith("top_k is -1;"));
  EXPECT_THAT(CheckError({.top_p = 0}), StartsWith("top_p is 0;"));
  EXPECT_THAT(CheckError({.top_p = 1.5}), StartsWith("top_p is 1.5;"));
  EXPECT_THAT(CheckError({.top_p = std::nan("")}), StartsWith("top_p is nan;"));
  EXPECT_THAT(CheckError({.min_p = -0.1}), StartsWith("min_p is -0.1;"));
  EXPECT_THAT(CheckError({.min_p = 1.1}), StartsWith("min_p is 1.1;"));
  EXPECT_THAT(CheckError({.min_p = std::nan("")}), StartsWith("min_p is nan;"));
  EXPECT_THAT(CheckError({.typical_p = 0}), StartsWith("typical_p is 0;"));
  EXPECT_THAT(CheckError({.typical_p = 1.5}), StartsWith("typical_p is 1.5;"));
  EXPECT_THAT(CheckError({.logit_bias = {{3, kInfinity}}}), StartsWith("logit_bias is inf for token 3;"));
  EXPECT_THAT(CheckError({.logit_bias = {{3, std::nan("")}}}), StartsWith("logit_bias is nan for token 3;"));
  EXPECT_THAT(CheckError({.logit_bias = {{-3, 0}}}), StartsWith("logit_bias names token -3;"));
  EXPECT_THAT(CheckError({.repetition_penalty = 0}), StartsWith("repetition_penalty is 0;"));
  EXPECT_THAT(CheckError({.repetition_penalty = kInfinity}), StartsWith("repetition_penalty is inf;"));
  EXPECT_THAT(CheckError({.presence_penalty = kInfinity}), StartsWith("presence_penalty is inf;"));
  EXPECT_THAT(CheckError({.frequency_penalty = std::nan("")}), StartsWith("frequency_penalty is nan;"));
  EXPECT_THAT(CheckError({.no_repeat_ngram_size = -1}), StartsWith("no_repeat_ngram_size is -1;"));
  EXPECT_THAT(CheckError({.bad_words = {{1}, {}}}), StartsWith("bad_words holds an empty sequence"));
  EXPECT_THAT(CheckError({.bad_words = {{1, -2}}}), StartsWith("bad_words names token -2;"));
  EXPECT_THAT(CheckError({.min_new_tokens = -1}), StartsWith("min_new_tokens is -1;"));
  EXPECT_THAT(CheckError({.allowed_tokens = {{}}}), StartsWith("allowed_tokens holds an empty set"));
  EXPECT_EQ(CheckError({.temperature = 0, .top_k = 0, .top_p = 1, .min_p = 1, .logit_bias = {{1, -kInfinity}}}), "");
}

TEST(SamplerOptions, IdsOutsideTheVocabularyAreErrors) {
  const auto error = [](const SamplerOptions& options) { return ErrorOf([&] { options.CheckIds(10); }); };
  EXPECT_EQ(error({.logit_bias = {{9, 1}}, .bad_words = {{9}}, .allowed_tokens = {{9}}}), "");
  EXPECT_EQ(error({.logit_bias = {{10, 1}}}), "logit_bias names token 10, the model's vocabulary has 10");
  EXPECT_THAT(error({.bad_words = {{1, 12}}}), StartsWith("bad_words names token 12"));
  EXPECT_THAT(error({.allowed_tokens = {{1}, {77}}}), StartsWith("allowed_tokens names token 77"));
}

TEST(FilterOrder, IsNamed) {
  EXPECT_EQ(ParseFilterOrder("hf"), FilterOrder::kHuggingFace);
  EXPECT_EQ(ParseFilterOrder("llama.cpp"), FilterOrder::kLlamaCpp);
  EXPECT_THAT(ErrorOf([] { ParseFilterOrder("vllm"); }), StartsWith("order is \"vllm\";"));
}

}  // namespace
}  // namespace kinetok
