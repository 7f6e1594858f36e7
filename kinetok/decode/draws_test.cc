// Sampling is right in distribution: a million draws of each strategy against its exact probabilities.
#include <gtest/gtest.h>

#include <ostream>

#include "kinetok/decode/decode_test_support.h"
#include "kinetok/decode/sampler.h"

namespace kinetok {
namespace {

struct Strategy {
  const char* name;
  SamplerOptions options;
  std::vector<double> weights;  // of the tokens of kExample, by hand; 0: never drawn
};

void PrintTo(const Strategy& strategy, std::ostream* out) {
  *out << strategy.name;
}

class DrawsTest : public ::testing::TestWithParam<Strategy> {};

TEST_P(DrawsTest, FollowTheDistribution) {
  constexpr int kDraws = 1'000'000;
  // With what probability a right sampler exceeds these: 1e-6, for 1 to 4 degrees of freedom.
  constexpr double kCritical[] = {0, 23.928, 27.631, 30.665, 33.377};
  const std::vector<float> logits = LogitsOf(kExample);
  const std::vector<double>& weights = GetParam().weights;
  SamplerOptions options = GetParam().options;
  options.seed = 11;
  Sampler sampler(options);
  std::vector<int> counts(weights.size());
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<size_t>(sampler.Choose(logits, i))];

  double total = 0, chi_square = 0;
  for (const double w : weights) total += w;
  size_t tokens = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) {
      EXPECT_EQ(counts[i], 0) << i;
      continue;
    }
    ++tokens;
    const double expected = weights[i] / total * kDraws, difference = counts[i] - expected;
    chi_square += difference * difference / expected;
  }
  EXPECT_LT(chi_square, kCritical[tokens - 1]);
  EXPECT_GT(chi_square, 0) << "draws that hit every expected count are not random";
}

INSTANTIATE_TEST_SUITE_P(
    Strategies, DrawsTest,
    ::testing::Values(
        Strategy{"Plain", {}, {0.4, 0.3, 0.15, 0.1, 0.05}},
        Strategy{"Temperature", {.temperature = 0.5}, {16, 9, 2.25, 1, 0.25}},
        Strategy{"TopK", {.top_k = 3}, {0.4, 0.3, 0.15, 0, 0}},
        Strategy{"TopP", {.top_p = 0.9}, {0.4, 0.3, 0.15, 0.1, 0}},
        Strategy{"MinP", {.min_p = 0.3}, {0.4, 0.3, 0.15, 0, 0}},
        Strategy{"TypicalP", {.typical_p = 0.7}, {0.4, 0.3, 0, 0, 0}},
        Strategy{"LlamaCpp", {.temperature = 0.5, .top_p = 0.8, .order = FilterOrder::kLlamaCpp}, {16, 9, 2.25, 0, 0}},
        Strategy{"AllowedTokens", {.allowed_tokens = {{1, 3, 4}}}, {0, 0.3, 0, 0.1, 0.05}}),
    [](const auto& chosen) { return chosen.param.name; });

}  // namespace
}  // namespace kinetok
