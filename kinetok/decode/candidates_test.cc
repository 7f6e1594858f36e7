#include "kinetok/decode/candidates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "kinetok/base/error.h"
#include "kinetok/decode/decode_test_support.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;

Candidates CandidatesOf(const std::vector<double>& probabilities) {
  Candidates out;
  for (const float logit : LogitsOf(probabilities)) out.push_back({static_cast<int32_t>(out.size()), logit});
  return out;
}

template <class Filter, class... Args>
std::vector<int32_t> Kept(const std::vector<double>& probabilities, Filter filter, Args... args) {
  Candidates candidates = CandidatesOf(probabilities);
  filter(candidates, args...);
  std::vector<int32_t> out;
  for (const Candidate& c : candidates) out.push_back(c.token);
  return out;
}

std::vector<int32_t> TopP(const std::vector<double>& probabilities, double p) {
  return Kept(probabilities, KeepTopP, p);
}
std::vector<int32_t> MinP(const std::vector<double>& probabilities, double p) {
  return Kept(probabilities, KeepMinP, p);
}
std::vector<int32_t> TypicalP(const std::vector<double>& probabilities, double p) {
  return Kept(probabilities, KeepTypicalP, p);
}

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
    EXPECT_TRUE(std::equal(kept.begin(), kept.end(), expected.begin(), expected.end(),
                           [](const Candidate& c, int32_t token) { return c.token == token; }))
        << target;
  }
}

TEST(TopK, KeepsExactlyKWithTheLowerIdOnATie) {
  EXPECT_THAT(Kept(kExample, KeepTopK, 3, TopKTies::kLowerId), ElementsAre(0, 1, 2));
  EXPECT_THAT(Kept({0.1, 0.3, 0.3, 0.3}, KeepTopK, 2, TopKTies::kLowerId), ElementsAre(1, 2));
  EXPECT_THAT(Kept({0.1, 0.3, 0.3, 0.3}, KeepTopK, 9, TopKTies::kLowerId), ElementsAre(0, 1, 2, 3));
}

TEST(TopK, KeepsWhatIsTiedWithTheKthWhenAskedTo) {
  EXPECT_THAT(Kept({0.1, 0.3, 0.3, 0.3}, KeepTopK, 2, TopKTies::kAll), ElementsAre(1, 2, 3));
  EXPECT_THAT(Kept(kExample, KeepTopK, 2, TopKTies::kAll), ElementsAre(0, 1));
}

TEST(MinP, DropsWhatIsLessLikelyThanAShareOfTheLikeliest) {
  // The likeliest has 0.4: shares of 0.2, 0.25, 0.26, 0.375 and 0.76 of it are 0.08, 0.1, 0.104, 0.15 and 0.304.
  EXPECT_THAT(MinP(kExample, 0), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(MinP(kExample, 0.2), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(MinP(kExample, 0.25), ElementsAre(0, 1, 2, 3)) << "0.1 is not less than 0.1";
  EXPECT_THAT(MinP(kExample, 0.26), ElementsAre(0, 1, 2));
  EXPECT_THAT(MinP(kExample, 0.375), ElementsAre(0, 1, 2)) << "0.15 is not less than 0.15";
  EXPECT_THAT(MinP(kExample, 0.76), ElementsAre(0));
  EXPECT_THAT(MinP({0.3, 0.3, 0.4}, 1), ElementsAre(2));
  EXPECT_THAT(MinP({0.4, 0.2, 0.4}, 1), ElementsAre(0, 2));
}

TEST(TypicalP, KeepsTheTokensWhoseSurpriseIsNearestToTheEntropy) {
  // The entropy is 1.3923. Surprises and their distances from it: 0.9163 (0.476), 1.2040 (0.188), 1.8971 (0.505),
  // 2.3026 (0.910), 2.9957 (1.603): the most typical token is the second likeliest.
  EXPECT_THAT(TypicalP(kExample, 0.2), ElementsAre(1));
  EXPECT_THAT(TypicalP(kExample, 0.3), ElementsAre(1));
  EXPECT_THAT(TypicalP(kExample, 0.31), ElementsAre(0, 1));
  EXPECT_THAT(TypicalP(kExample, 0.7), ElementsAre(0, 1)) << "0.3 + 0.4 reaches 0.7";
  EXPECT_THAT(TypicalP(kExample, 0.71), ElementsAre(0, 1, 2));
  EXPECT_THAT(TypicalP(kExample, 0.9), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(TypicalP(kExample, 0.96), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(TypicalP(kExample, 1), ElementsAre(0, 1, 2, 3, 4));
}

TEST(TypicalP, TakesTheLowerIdOnATieAndKeepsOneHoweverSmallPIs) {
  EXPECT_THAT(TypicalP({0.25, 0.25, 0.25, 0.25}, 0.5), ElementsAre(0, 1));
  EXPECT_THAT(TypicalP(kExample, 1e-300), ElementsAre(1));
}

TEST(TypicalP, ACandidateOfProbabilityZeroCountsForNothing) {
  Candidates c = CandidatesOf(kExample);
  c.push_back({5, -5000});
  KeepTypicalP(c, 0.7);
  ASSERT_EQ(c.size(), 2u);
  EXPECT_EQ(c[0].token, 0);
  EXPECT_EQ(c[1].token, 1);
}

TEST(Filters, SeeTheProbabilitiesThatTheOneBeforeLeft) {
  // Of {0.4, 0.3, 0.15} renormalised the first two hold 0.82: top-p 0.8 keeps two of the three, of all five three.
  Candidates c = CandidatesOf(kExample);
  KeepTopP(c, 0.8);
  EXPECT_EQ(c.size(), 3u);
  c = CandidatesOf(kExample);
  KeepTopK(c, 3);
  KeepTopP(c, 0.8);
  EXPECT_EQ(c.size(), 2u);
}

TEST(Probabilities, RefusesWhatHasNone) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_THROW(Probabilities({{0, std::numeric_limits<double>::quiet_NaN()}}), Error);
  EXPECT_THROW(Probabilities({{0, -infinity}, {1, -infinity}}), Error);
  EXPECT_THROW(Probabilities({{0, infinity}}), Error);
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

}  // namespace
}  // namespace kinetok
