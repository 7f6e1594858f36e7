#include "kinetok/decode/processors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace kinetok {
namespace {

using ::testing::ElementsAre;

constexpr double kBanned = -std::numeric_limits<double>::infinity();
using Ids = std::vector<int32_t>;
using Words = std::vector<Ids>;

template <class Processor, class... Args>
std::vector<double> After(std::vector<double> logits, Processor processor, const Args&... args) {
  processor(logits, args...);
  return logits;
}

TEST(LogitBias, IsAdded) {
  const std::vector<TokenBias> biases = {{1, 2.5}, {3, -1}, {3, -1}, {2, kBanned}, {9, 5}};
  EXPECT_THAT(After({1, 2, 3, 4}, ApplyLogitBias, biases), ElementsAre(1, 4.5, kBanned, 2));
}

TEST(RepetitionPenalty, MultipliesNegativeLogitsAndDividesOthersOncePerToken) {
  EXPECT_THAT(After({3, -2, 0, 5}, ApplyRepetitionPenalty, Ids{0, 1, 1, 0, 2, 9}, 2.0), ElementsAre(1.5, -4, 0, 5));
  EXPECT_THAT(After({3, -2, 0, 5}, ApplyRepetitionPenalty, Ids{0, 1}, 0.5), ElementsAre(6, -1, 0, 5));
  EXPECT_THAT(After({kBanned, 1}, ApplyRepetitionPenalty, Ids{0}, 2.0), ElementsAre(kBanned, 1));
}

TEST(CountPenalties, SubtractPresenceOnceAndFrequencyPerOccurrence) {
  EXPECT_THAT(After({4, 4, 4}, ApplyCountPenalties, Ids{2, 0, 2, 2}, 0.5, 0.25), ElementsAre(3.25, 4, 2.75));
  EXPECT_THAT(After({4, 4, 4}, ApplyCountPenalties, Ids{}, 0.5, 0.25), ElementsAre(4, 4, 4));
  EXPECT_THAT(After({4, 4, 4}, ApplyCountPenalties, Ids{1}, -1, 0), ElementsAre(4, 5, 4));
}

TEST(RepeatedNgrams, WhatWouldCompleteOneThatIsThereIsBanned) {
  const std::vector<double> zeros(5);
  // After "... 1 2" came 3 and 4.
  EXPECT_THAT(After(zeros, BanRepeatedNgrams, Ids{1, 2, 3, 1, 2, 4, 1, 2}, 3), ElementsAre(0, 0, 0, kBanned, kBanned));
  EXPECT_THAT(After(zeros, BanRepeatedNgrams, Ids{1, 2, 3, 1}, 2), ElementsAre(0, 0, kBanned, 0, 0));
  EXPECT_THAT(After(zeros, BanRepeatedNgrams, Ids{0, 4}, 1), ElementsAre(kBanned, 0, 0, 0, kBanned));
  EXPECT_THAT(After(zeros, BanRepeatedNgrams, Ids{1, 1}, 2), ElementsAre(0, kBanned, 0, 0, 0)) << "1 1 overlaps itself";
  EXPECT_THAT(After(zeros, BanRepeatedNgrams, Ids{1, 2}, 3), ElementsAre(0, 0, 0, 0, 0)) << "no 3-gram yet";
  EXPECT_THAT(After(zeros, BanRepeatedNgrams, Ids{}, 1), ElementsAre(0, 0, 0, 0, 0));
}

TEST(BadWords, TheLastTokenIsBannedWhereTheOthersStand) {
  const std::vector<double> zeros(4);
  const Words words = {{3}, {0, 1}, {2, 0, 2}};
  EXPECT_THAT(After(zeros, BanWords, Ids{1, 1}, words), ElementsAre(0, 0, 0, kBanned));
  EXPECT_THAT(After(zeros, BanWords, Ids{1, 0}, words), ElementsAre(0, kBanned, 0, kBanned));
  EXPECT_THAT(After(zeros, BanWords, Ids{2, 0}, words), ElementsAre(0, kBanned, kBanned, kBanned));
  EXPECT_THAT(After(zeros, BanWords, Ids{}, words), ElementsAre(0, 0, 0, kBanned));
}

TEST(BannedTokens, AreThoseAlone) {
  EXPECT_THAT(After({1, 2, 3}, BanTokens, Ids{2, 0, 7}), ElementsAre(kBanned, 2, kBanned));
}

TEST(AllowedTokens, KeepTheirLogitsAndTheOthersAreBanned) {
  EXPECT_THAT(After({1, 2, 3, 4}, KeepTokens, Ids{3, 1, 3, 9}), ElementsAre(kBanned, 2, kBanned, 4));
}

}  // namespace
}  // namespace kinetok
