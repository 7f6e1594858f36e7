#include "kinetok/train/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

Schedule Make(ScheduleKind kind) {
  return {.kind = kind, .learning_rate = 1.0, .min_learning_rate = 0.2, .warmup_steps = 4, .max_steps = 20};
}

TEST(ScheduleTest, EveryKindWarmsUpInEqualStepsThatNeverStartAtZero) {
  for (ScheduleKind kind :
       {ScheduleKind::kConstant, ScheduleKind::kLinear, ScheduleKind::kCosine, ScheduleKind::kWsd}) {
    EXPECT_DOUBLE_EQ(LearningRate(Make(kind), 0), 0.2);
    EXPECT_DOUBLE_EQ(LearningRate(Make(kind), 1), 0.4);
    EXPECT_DOUBLE_EQ(LearningRate(Make(kind), 3), 0.8);
    EXPECT_DOUBLE_EQ(LearningRate(Make(kind), 4), 1.0);
  }
}

TEST(ScheduleTest, ConstantStaysAtTheLearningRate) {
  EXPECT_DOUBLE_EQ(LearningRate(Make(ScheduleKind::kConstant), 19), 1.0);
  EXPECT_DOUBLE_EQ(LearningRate(Make(ScheduleKind::kConstant), 500), 1.0);
}

TEST(ScheduleTest, LinearIsHalfWayDownInTheMiddle) {
  EXPECT_DOUBLE_EQ(LearningRate(Make(ScheduleKind::kLinear), 8), 0.8);  // 4 of 16 decay steps: 0.2 + 0.75 * 0.8
  EXPECT_DOUBLE_EQ(LearningRate(Make(ScheduleKind::kLinear), 12), 0.6);
  EXPECT_DOUBLE_EQ(LearningRate(Make(ScheduleKind::kLinear), 20), 0.2);
}

TEST(ScheduleTest, CosineFollowsItsQuarterPoints) {
  EXPECT_NEAR(LearningRate(Make(ScheduleKind::kCosine), 8), 0.2 + 0.8 * 0.85355339059327376,
              1e-15);  // (1 + cos(pi/4)) / 2
  EXPECT_NEAR(LearningRate(Make(ScheduleKind::kCosine), 12), 0.6, 1e-15);
  EXPECT_NEAR(LearningRate(Make(ScheduleKind::kCosine), 16), 0.2 + 0.8 * 0.14644660940672624, 1e-15);
  EXPECT_DOUBLE_EQ(LearningRate(Make(ScheduleKind::kCosine), 20), 0.2);
  EXPECT_DOUBLE_EQ(LearningRate(Make(ScheduleKind::kCosine), 1000), 0.2);
}

TEST(ScheduleTest, CosineMatchesTheValuesOfNanoGptsFunction) {
  // get_lr(it) of nanoGPT's train.py with the settings of its CPU configuration.
  const Schedule s{.kind = ScheduleKind::kCosine,
                   .learning_rate = 1e-3,
                   .min_learning_rate = 1e-4,
                   .warmup_steps = 100,
                   .max_steps = 2000};
  EXPECT_NEAR(LearningRate(s, 0), 9.9009900990099e-06, 1e-18);
  EXPECT_NEAR(LearningRate(s, 99), 0.0009900990099009901, 1e-16);
  EXPECT_NEAR(LearningRate(s, 1050), 0.00055, 1e-16);
}

TEST(ScheduleTest, WsdIsFlatThenLinear) {
  const Schedule s = Make(ScheduleKind::kWsd);  // the last 4 of 20 steps go down
  EXPECT_DOUBLE_EQ(LearningRate(s, 15), 1.0);
  EXPECT_DOUBLE_EQ(LearningRate(s, 16), 1.0);
  EXPECT_DOUBLE_EQ(LearningRate(s, 18), 0.6);
  EXPECT_DOUBLE_EQ(LearningRate(s, 20), 0.2);
}

TEST(ScheduleTest, AWarmUpLongerThanTheRunOnlyWarmsUp) {
  Schedule s = Make(ScheduleKind::kCosine);
  s.warmup_steps = 40;
  EXPECT_DOUBLE_EQ(LearningRate(s, 19), 20.0 / 41.0);
}

TEST(ScheduleTest, NamesRoundTripAndAnUnknownOneListsTheKnown) {
  for (ScheduleKind kind :
       {ScheduleKind::kConstant, ScheduleKind::kLinear, ScheduleKind::kCosine, ScheduleKind::kWsd}) {
    EXPECT_EQ(ParseScheduleKind(ScheduleName(kind)), kind);
  }
  try {
    ParseScheduleKind("cosinus");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "schedule is \"cosinus\", expected constant, linear, cosine or wsd");
  }
}

}  // namespace
}  // namespace kinetok
