#include "kinetok/vla/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

DatasetStatistics Parse(const std::string& text) {
  return {ParseJson(text, "stats.json"), "stats.json"};
}

std::string ErrorOf(const std::string& text) {
  try {
    Parse(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

constexpr const char* kTwo = R"({
  "bridge": {"action": {"q01": [-2, 0, 0], "q99": [2, 4, 1], "mask": [true, true, false]}, "num_transitions": 7},
  "fractal": {"action": {"q01": [0], "q99": [0.5], "min": [3], "max": [3]}, "num_trajectories": 2}})";

TEST(DatasetStatisticsTest, TheKeyChoosesAndIsNeededWhenThereAreSeveral) {
  const DatasetStatistics s = Parse(kTwo);
  EXPECT_EQ(s.Choose("bridge").second.num_transitions, 7);
  EXPECT_EQ(s.Choose("fractal").second.num_trajectories, 2);
  for (const char* key : {"", "bridge_orig"}) {
    try {
      s.Choose(key);
      ADD_FAILURE() << key;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("bridge, fractal"));
      EXPECT_THAT(e.what(), HasSubstr("unnorm_key"));
    }
  }
  EXPECT_EQ(Parse(R"({"a": {"action": {"q01": [0], "q99": [1]}}})").Choose("").first, "a");
  EXPECT_THROW(Parse("{}").Choose(""), Error);
}

TEST(ActionStatisticsTest, UnnormalizesWhereTheMaskSaysAndPassesTheRestThrough) {
  const DatasetStatistics s = Parse(kTwo);
  EXPECT_THAT(s.Choose("bridge").second.Unnormalize(std::vector<double>{-1, 0.5, 0.25}), ElementsAre(-2, 3, 0.25));
}

TEST(ActionStatisticsTest, NormalizesWithAMarginClipsAndGivesZeroForAConstant) {
  const DatasetStatistics s = Parse(kTwo);
  const std::vector<double> n = s.Choose("bridge").second.Normalize(std::vector<double>{1, 9, 0.7});
  EXPECT_DOUBLE_EQ(n[0], 2 * 3 / (4 + 1e-8) - 1);
  EXPECT_EQ(n[1], 1);
  EXPECT_EQ(n[2], 0.7);
  EXPECT_THAT(s.Choose("fractal").second.Normalize(std::vector<double>{0.3}), ElementsAre(0));
}

TEST(DatasetStatisticsTest, WhatDoesNotFitIsNamed) {
  EXPECT_THAT(ErrorOf(R"({"a": {"action": {"q01": [0, 1], "q99": [1]}}})"), HasSubstr("a.action: field \"q99\" has 1"));
  EXPECT_THAT(ErrorOf(R"({"a": {"action": {"q01": [0], "q99": [1], "mask": [true, true]}}})"),
              HasSubstr("field \"mask\" has 2"));
  EXPECT_THAT(ErrorOf(R"({"a": {"action": {"q01": [0, 2], "q99": [1, 1]}}})"),
              HasSubstr("dimension 1 has q99 1 below q01 2"));
  EXPECT_THAT(ErrorOf(R"({"a": {"action": {"q01": [], "q99": []}}})"), HasSubstr("\"q01\" has 0 entries"));
  EXPECT_THAT(ErrorOf(R"({"a": {"action": {"q01": [-1e308], "q99": [1e308]}}})"),
              HasSubstr("dimension 0 reaches from q01 -1e+308 to q99 1e+308, expected a finite range"));
  EXPECT_THAT(ErrorOf(R"({"a": {"action": {"q01": ["x"], "q99": [1]}}})"), HasSubstr("holds \"x\", expected numbers"));
  EXPECT_THAT(ErrorOf(R"({"a": {"proprio": {}}})"), HasSubstr("action"));
  EXPECT_THAT(ErrorOf("[]"), HasSubstr("stats.json"));
  // A masked dimension is passed through, so its bounds play no part.
  EXPECT_EQ(ErrorOf(R"({"a": {"action": {"q01": [1], "q99": [0], "mask": [false]}}})"), "no error");
}

}  // namespace
}  // namespace kinetok
