#include "kinetok/decode/log_probability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kinetok/decode/decode_test_support.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;

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

TEST(LogProbabilities, AreThoseOfEveryToken) {
  const std::vector<float> logits = LogitsOf(kExample);
  std::vector<double> all(logits.size());
  LogProbabilities(logits, all);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], LogProbability(logits, static_cast<int32_t>(i)));
}

TEST(TopLogProbabilities, AreTheLikeliestFirstAndTheLowerIdOnATie) {
  const std::vector<float> logits = {0, 2, 1, 2, -std::numeric_limits<float>::infinity()};
  const auto entry = [&](int32_t token) { return TokenLogprob{token, LogProbability(logits, token)}; };
  EXPECT_THAT(TopLogProbabilities(logits, 3), ElementsAre(entry(1), entry(3), entry(2)));
  EXPECT_EQ(TopLogProbabilities(logits, 99).size(), 5u);
  EXPECT_TRUE(TopLogProbabilities(logits, 0).empty());
}

}  // namespace
}  // namespace kinetok
