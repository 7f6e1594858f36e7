#include "cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace kinetok {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class ProgressTest : public ::testing::Test {
 protected:
  ProgressBar::Options Interactive() {
    return {.label = "training",
            .total = 1000,
            .unit = "tokens",
            .units_per_step = 100,
            .interactive = true,
            .now = [this] { return now_; }};
  }
  ProgressBar::Options Plain(double seconds) {
    ProgressBar::Options options = Interactive();
    options.interactive = false;
    options.plain_seconds = seconds;
    return options;
  }
  // What the last drawn line holds.
  std::string LastLine() const {
    const std::string all = out_.str();
    return all.substr(all.rfind('\r') + 1);
  }
  std::ostringstream out_;
  double now_ = 100;
};

TEST_F(ProgressTest, ShowsShareRateTimeLeftAndFields) {
  ProgressBar bar(out_, Interactive());
  bar.Update(0);
  now_ += 10;
  bar.Update(250, "loss 1.92");
  EXPECT_THAT(LastLine(), HasSubstr("training  [======>                 ]  250/1000  25%"));
  EXPECT_THAT(LastLine(), HasSubstr("2.50 k tokens/s  ETA 0:30  loss 1.92"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("\n")));
}

TEST_F(ProgressTest, DrawsAtMostTenTimesASecond) {
  ProgressBar bar(out_, Interactive());
  for (int i = 0; i < 1000; ++i) {
    bar.Update(i);
    now_ += 0.001;
  }
  const std::string all = out_.str();
  const auto draws = std::count(all.begin(), all.end(), '\r');
  EXPECT_GE(draws, 9);
  EXPECT_LE(draws, 11);
}

TEST_F(ProgressTest, FinishDrawsTheFinalStateAndEndsTheLineOnce) {
  ProgressBar bar(out_, Interactive());
  bar.Update(0);
  bar.Update(1000, "loss 1.5");  // within a tenth of a second: not drawn yet
  now_ += 75;
  bar.Finish();
  bar.Finish();
  EXPECT_THAT(out_.str(), EndsWith("1000/1000  100%  1.33 k tokens/s  in 1:15  loss 1.5\033[K\n"));
}

TEST_F(ProgressTest, AnUnfinishedLineIsErased) {
  { ProgressBar(out_, Interactive()).Update(1); }
  EXPECT_THAT(out_.str(), EndsWith("\r\033[K"));
}

TEST_F(ProgressTest, ClearMakesRoomForOtherOutput) {
  ProgressBar bar(out_, Interactive());
  bar.Update(1);
  bar.Clear();
  EXPECT_THAT(out_.str(), EndsWith("\r\033[K"));
  const size_t size = out_.str().size();
  bar.Clear();
  EXPECT_EQ(out_.str().size(), size);
}

TEST_F(ProgressTest, APipeSeesNothing) {
  {
    ProgressBar bar(out_, Plain(0));
    for (int i = 0; i <= 1000; ++i, now_ += 1) bar.Update(i);
    bar.Finish();
  }
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgressTest, APipeGetsPlainLinesWhenAsked) {
  ProgressBar bar(out_, Plain(30));
  for (int i = 0; i <= 90; ++i) {
    bar.Update(i, "loss 2");
    now_ += 1;
  }
  const std::string all = out_.str();
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 3);
  EXPECT_THAT(all, HasSubstr("training  30/1000  3%  100 tokens/s  ETA 16:10  loss 2\n"));
  EXPECT_THAT(all, Not(HasSubstr("\r")));
  EXPECT_THAT(all, Not(HasSubstr("\033")));
}

TEST_F(ProgressTest, TheRateOfAResumedRunCountsFromWhereItResumed) {
  ProgressBar bar(out_, Interactive());
  bar.Update(900);
  now_ += 10;
  bar.Update(950);
  EXPECT_THAT(LastLine(), HasSubstr("500 tokens/s  ETA 0:10"));
}

TEST_F(ProgressTest, AnUnknownTotalHasNoBarAndNoTimeLeft) {
  ProgressBar::Options options = Interactive();
  options.total = 0;
  ProgressBar bar(out_, options);
  bar.Update(0);
  now_ += 2;
  bar.Update(7);
  EXPECT_THAT(LastLine(), HasSubstr("training  7  350 tokens/s"));
  EXPECT_THAT(LastLine(), Not(HasSubstr("ETA")));
  EXPECT_THAT(LastLine(), Not(HasSubstr("[=")));
}

TEST_F(ProgressTest, ALineIsCutToTheTerminalBetweenCharacters) {
  ProgressBar::Options options = Interactive();
  options.label = "학습학습학습";
  options.columns = 10;  // nine may be used: four characters of two columns
  ProgressBar bar(out_, options);
  bar.Update(1);
  EXPECT_EQ(LastLine(), "학습학습\033[K");
}

TEST(HumanNumbers, HaveThreeDigitsAndASuffix) {
  EXPECT_EQ(HumanRate(0), "0.00");
  EXPECT_EQ(HumanRate(0.004), "0.0040");
  EXPECT_EQ(HumanRate(12.34), "12.3");
  EXPECT_EQ(HumanRate(999.7), "1.00 k");
  EXPECT_EQ(HumanRate(12345), "12.3 k");
  EXPECT_EQ(HumanRate(5.2e6), "5.20 M");
  EXPECT_EQ(HumanDuration(42), "0:42");
  EXPECT_EQ(HumanDuration(3700), "1:01:40");
  EXPECT_EQ(HumanDuration(-1), "-:--");
}

}  // namespace
}  // namespace kinetok
