#include "kinetok/vla/action_score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "kinetok/vla/open_loop.h"
#include "kinetok/vla/test_policy.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

// Five edges -1, -0.5, 0, 0.5, 1 make the four bins of the ids 99, 98, 97 and 96, in that order; 95 decodes as 96.
ActionTokenizer FourBins() {
  return ActionTokenizer(100, 5);
}

TEST(ActionScoreTest, CountsByHandOverTwoStepsOfThreeDimensions) {
  ActionScore score(FourBins(), {true, false, true});
  score.Add(0, 99, 99);  // right
  score.Add(1, 98, 98);  // right, and constant
  score.Add(2, 99, 98);  // a bin of 0.5 beside it
  score.Add(0, 99, 96);  // three bins: 1.5
  score.Add(1, 97, 97);
  score.Add(2, 97, 97);
  EXPECT_EQ(score.count(), 6);
  EXPECT_DOUBLE_EQ(score.accuracy(), 4.0 / 6);
  EXPECT_DOUBLE_EQ(score.varying_accuracy().value(), 2.0 / 4);
  EXPECT_THAT(score.accuracy_by_dimension(), ElementsAre(0.5, 1.0, 0.5));
  EXPECT_DOUBLE_EQ(score.l1(), (0.5 + 1.5) / 6);
}

TEST(ActionScoreTest, ATokenThatIsNoActionCountsAsTheNearestAndIsNeverRight) {
  ActionScore score(FourBins());
  score.Add(0, 7, 96);  // some word: the highest bin, as the reference clips
  score.Add(0, 7, 99);
  EXPECT_EQ(score.accuracy(), 0);
  EXPECT_DOUBLE_EQ(score.l1(), (0 + 1.5) / 2);
}

TEST(ActionScoreTest, WithNothingThatVariesThereIsNoAccuracyOfIt) {
  ActionScore score(FourBins(), {false});
  score.Add(0, 99, 99);
  EXPECT_EQ(score.accuracy(), 1);
  EXPECT_EQ(score.varying_accuracy(), std::nullopt);
  score.Add(1, 99, 98);  // behind the end of `varies`
  EXPECT_EQ(score.varying_accuracy(), 0);
}

TEST(ActionScoreTest, ADimensionIsConstantByItsRangeOrByItsQuantilesWhereTheyMapIt) {
  ActionStatistics s;
  s.q01 = {0, 1, 0, 0, 0};
  s.q99 = {1, 1, 0, 1, 0};
  s.mask = {true, true, false, true, false};
  EXPECT_THAT(VaryingDimensions(s), ElementsAre(true, false, true, true, true));
  s.min = {0, 0, 0, 2, 3};
  s.max = {1, 2, 1, 2, 3};
  EXPECT_THAT(VaryingDimensions(s), ElementsAre(true, false, true, false, false));
}

class OpenLoopTest : public ::testing::Test, protected TestPolicy {};

// Demonstrations made from what the policy itself does: right in the first dimension, constant in the second, and so
// many bins away in the third.
TEST_F(OpenLoopTest, ScoresByHandWhatItIsWrongAbout) {
  if (!HasHdf5()) GTEST_SKIP() << "built without HDF5";
  const Json statistics = {{"made", Statistics({-1, 2, 0}, {1, 2, 1})}};
  WriteFileAtomically(dir / "dataset_statistics.json", statistics.dump());
  Policy policy(dir, {.threads = 1, .isa = "auto"});
  const ActionTokenizer& tokenizer = policy.config().actions;
  const std::vector<int> away = {0, 100, 31};
  Demonstration demo{.instruction = "reach", .images = {}, .actions = {}, .states = {}};
  double distance = 0;
  int right_in_second = 0;
  for (const int bins : away) {
    Image image(20, 14);
    for (size_t i = 0; i < image.pixels.size(); ++i) {
      image.pixels[i] = static_cast<uint8_t>(i * static_cast<size_t>(3 + bins) % 251);
    }
    const Action action = policy.Act(image.view(), demo.instruction);
    const int third = tokenizer.Bin(action.tokens[2]), shown = (third + bins) % 255,
              second = tokenizer.Bin(action.tokens[1]);
    demo.actions.insert(demo.actions.end(), {action.values[0], 2, 0.5 * (tokenizer.Center(shown) + 1)});
    demo.images.push_back(std::move(image));
    distance += (second + std::abs(third - shown)) * 2.0 / 255;  // a constant is the lowest bin
    right_in_second += second == 0 ? 1 : 0;
  }
  const fs::path file = dir / "demos.hdf5";
  DemonstrationWriter writer(file, {{"image_rotation", 0}});
  writer.Add(demo);
  writer.Finish();

  const OpenLoopReport report = ScoreOpenLoop(policy, DemonstrationFile(file));
  EXPECT_EQ(report.steps, 3);
  EXPECT_DOUBLE_EQ(report.action_token_accuracy, (3.0 + right_in_second + 1) / 9);
  EXPECT_DOUBLE_EQ(report.varying_token_accuracy.value(), (3.0 + 1) / 6);
  ASSERT_EQ(report.accuracy_by_dimension.size(), 3u);
  EXPECT_EQ(report.accuracy_by_dimension[0], 1);
  EXPECT_DOUBLE_EQ(report.accuracy_by_dimension[2], 1.0 / 3);
  EXPECT_NEAR(report.action_l1, distance / 9, 1e-12);
  EXPECT_NEAR(report.l1_by_dimension[0], 0, 1e-12);
  EXPECT_EQ(report.l1_by_dimension[1], 0);  // in its own units: whatever the token, it is the constant
}

TEST_F(OpenLoopTest, AGripperThatIsClosedAtZeroIsRefused) {
  if (!HasHdf5()) GTEST_SKIP() << "built without HDF5";
  const std::vector<double> low(7, -1), high(7, 1);
  WriteFileAtomically(dir / "dataset_statistics.json", Json({{"arm", Statistics(low, high)}}).dump());
  Policy policy(dir, {.threads = 1, .isa = "auto"});
  const fs::path file = dir / "gripper.hdf5";
  DemonstrationWriter writer(file, {{"image_rotation", 0}});
  writer.Add({.instruction = "reach",
              .images = {Image(8, 8), Image(8, 8)},
              .actions = {0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}});
  writer.Finish();
  try {
    ScoreOpenLoop(policy, DemonstrationFile(file));
    FAIL() << "nothing was said";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(),
                ::testing::HasSubstr("gripper.hdf5: the gripper, the last of seven numbers of an action, is 0"));
  }
}

}  // namespace
}  // namespace kinetok
