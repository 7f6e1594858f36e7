#include "kinetok/base/summary.h"

#include <gtest/gtest.h>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

// 8 in 10 (Newcombe 1998, Statistics in Medicine 17, 857), and at the ends.
TEST(ProportionTest, CarriesWilsonsInterval) {
  const Proportion p = MakeProportion(8, 10);
  EXPECT_EQ(p.value, 0.8);
  EXPECT_NEAR(p.low, 0.4902, 5e-5);
  EXPECT_NEAR(p.high, 0.9433, 5e-5);
  EXPECT_NEAR(MakeProportion(0, 10).low, 0, 1e-12);
  EXPECT_NEAR(MakeProportion(10, 10).high, 1, 1e-12);
}

// Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
TEST(ProportionTest, HasThePublishedIntervals) {
  struct Case {
    int64_t hits, count;
    double low, high;
  };
  for (const Case& c :
       {Case{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}}) {
    const Proportion p = MakeProportion(c.hits, c.count);
    EXPECT_NEAR(p.low, c.low, 5e-5) << c.hits << "/" << c.count;
    EXPECT_NEAR(p.high, c.high, 5e-5) << c.hits << "/" << c.count;
  }
  EXPECT_EQ(MakeProportion(7, 7).high, 1);
  EXPECT_EQ(MakeProportion(0, 0).low, 0);
  EXPECT_EQ(MakeProportion(0, 0).high, 1);
  EXPECT_THROW(MakeProportion(3, 2), Error);
}

TEST(PercentileTest, IsTheNearestRankOfValuesInAnyOrder) {
  const std::vector<double> values = {3, 1, 4, 2};
  EXPECT_EQ(Percentile(values, 0.5), 2);
  EXPECT_EQ(Percentile(values, 0.99), 4);
  EXPECT_EQ(Percentile(values, 1), 4);
  EXPECT_EQ(Percentile(values, 0), 1);
  EXPECT_EQ(Percentile({}, 0.5), 0);
}

}  // namespace
}  // namespace kinetok
