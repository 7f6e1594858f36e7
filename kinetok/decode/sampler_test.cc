#include "kinetok/decode/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// f32 logits of a distribution, as a model gives them.
std::vector<float> LogitsOf(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (double p : probabilities) logits.push_back(static_cast<float>(Log(p)));
  return logits;
}

Candidates CandidatesOf(const std::vector<double>& probabilities) {
  Candidates out;
  for (float logit : LogitsOf(probabilities)) out.push_back({static_cast<int32_t>(out.size()), logit});
  return out;
}

std::vector<int32_t> Tokens(const Candidates& candidates) {
  std::vector<int32_t> out;
  for (const Candidate& c : candidates) out.push_back(c.token);
  return out;
}

std::vector<int32_t> TopP(const std::vector<double>& probabilities, double p) {
  Candidates c = CandidatesOf(probabilities);
  KeepTopP(c, p);
  return Tokens(c);
}

std::string CheckError(const SamplerOptions& options) {
  try {
    options.Check();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

const std::vector<double> kExample = {0.4, 0.3, 0.15, 0.1, 0.05};

TEST(TopP, KeepsTheSmallestSetThatReachesP) {
  EXPECT_THAT(TopP(kExample, 0.39), ElementsAre(0));
  EXPECT_THAT(TopP(kExample, 0.41), ElementsAre(0, 1));
  EXPECT_THAT(TopP(kExample, 0.7), ElementsAre(0, 1)) << "0.4 + 0.3 reaches 0.7";
  EXPECT_THAT(TopP(kExample, 0.701), ElementsAre(0, 1, 2));
  EXPECT_THAT(TopP(kExample, 0.9), ElementsAre(0, 1, 2, 3)) << "0.85 does not reach 0.9";
  EXPECT_THAT(TopP(kExample, 0.96), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(TopP(kExample, 1), ElementsAre(0, 1, 2, 3, 4));
}

TEST(TopP, KeepsOneTokenHoweverSmallPIs) {
  EXPECT_THAT(TopP(kExample, 1e-300), ElementsAre(0));
}

TEST(TopP, OrdersByProbabilityAndThenById) {
  EXPECT_THAT(TopP({0.05, 0.4, 0.1, 0.3, 0.15}, 0.7), ElementsAre(1, 3));
  EXPECT_THAT(TopP({0.25, 0.25, 0.25, 0.25}, 0.5), ElementsAre(0, 1));
}

TEST(TopP, AgreesWithAFullSortOnAWideDistribution) {
  Candidates all;
  for (int32_t i = 0; i < 5000; ++i) all.push_back({i, static_cast<double>((i * 7919) % 5000) / 800});
  Candidates sorted = all;
  std::sort(sorted.begin(), sorted.end(), [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  const std::vector<double> p = Probabilities(sorted);
  for (double target : {0.01, 0.3, 0.8, 0.97}) {
    size_t count = 0;
    for (double sum = 0; sum < target; ++count) sum += p[count];
    std::vector<int32_t> expected;
    for (size_t i = 0; i < count; ++i) expected.push_back(sorted[i].token);
    std::sort(expected.begin(), expected.end());
    Candidates kept = all;
    KeepTopP(kept, target);
    EXPECT_EQ(Tokens(kept), expected) << target;
  }
}

TEST(TopK, KeepsExactlyKWithTheLowerIdOnATie) {
  Candidates c = CandidatesOf({0.1, 0.3, 0.3, 0.3});
  KeepTopK(c, 2);
  EXPECT_THAT(Tokens(c), ElementsAre(1, 2));
  KeepTopK(c, 5);
  EXPECT_EQ(c.size(), 2u);
}

TEST(Temperature, DividesTheLogits) {
  Candidates c = CandidatesOf({0.8, 0.2});
  ApplyTemperature(c, 2);
  const std::vector<double> p = Probabilities(c);
  EXPECT_NEAR(p[0], 2.0 / 3, 1e-7);  // sqrt(0.8) : sqrt(0.2) is 2 : 1
}

TEST(Temperature, TinyAndHugeValuesStayFinite) {
  Candidates c = CandidatesOf(kExample);
  ApplyTemperature(c, 1e-308);
  EXPECT_DOUBLE_EQ(Probabilities(c)[0], 1);
  c = CandidatesOf(kExample);
  ApplyTemperature(c, 1e300);
  EXPECT_NEAR(Probabilities(c)[4], 0.2, 1e-12);
}

TEST(Argmax, TakesTheLowerIdOnATie) {
  const std::vector<float> logits = {1, 3, 2, 3};
  EXPECT_EQ(Argmax(logits), 1);
}

TEST(Argmax, RefusesNanAndNoFiniteLogit) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  EXPECT_THROW(Argmax(std::vector<float>{1, nan}), Error);
  EXPECT_THROW(Argmax(std::vector<float>{-infinity, -infinity}), Error);
  EXPECT_THROW(Argmax(std::vector<float>{1, infinity}), Error);
  EXPECT_EQ(Argmax(std::vector<float>{-infinity, 1}), 1);
}

TEST(LogProbability, IsTheLogarithmOfTheSoftmax) {
  const std::vector<float> logits = LogitsOf(kExample);
  for (size_t i = 0; i < kExample.size(); ++i) {
    EXPECT_NEAR(LogProbability(logits, static_cast<int32_t>(i)), std::log(kExample[i]), 1e-6);
  }
  // Far beyond exp's range.
  EXPECT_NEAR(LogProbability(std::vector<float>{5000, 5000}, 0), -std::log(2), 1e-12);
}

TEST(Sampler, TheLimitsOfEveryOptionAreGreedy) {
  const std::vector<float> logits = LogitsOf({0.2, 0.3, 0.1, 0.3, 0.1});
  const std::vector<SamplerOptions> limits = {{.greedy = true}, {.temperature = 0}, {.temperature = 1e-9, .top_k = 1},
                                              {.top_k = 1},     {.top_p = 1e-9},    {.temperature = 5, .top_p = 0.01}};
  for (const SamplerOptions& options : limits) {
    Sampler sampler(options);
    for (int64_t position = 0; position < 50; ++position) EXPECT_EQ(sampler.Choose(logits, position), 1);
  }
  // Without a tie, temperature alone is enough.
  Sampler cold({.temperature = 1e-6});
  for (int64_t position = 0; position < 50; ++position) EXPECT_EQ(cold.Choose(LogitsOf(kExample), position), 0);
}

TEST(Sampler, DrawsFollowTheDistribution) {
  constexpr int kDraws = 1'000'000;
  const std::vector<float> logits = LogitsOf(kExample);
  Sampler sampler({.seed = 11});
  std::vector<int> counts(kExample.size());
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<size_t>(sampler.Choose(logits, i))];
  double chi_square = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = kExample[i] * kDraws, difference = counts[i] - expected;
    chi_square += difference * difference / expected;
  }
  EXPECT_LT(chi_square, 18.47);  // 4 degrees of freedom: the 99.9th percentile
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
  EXPECT_EQ(CheckError({.temperature = 0, .top_k = 0, .top_p = 1}), "");
}

}  // namespace
}  // namespace kinetok
