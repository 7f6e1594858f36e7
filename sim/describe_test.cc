#include "sim/describe.h"

#include <map>
#include <set>

#include "sim/sim_test_support.h"

namespace kinetok::sim {
namespace {

using ::testing::HasSubstr;

TEST(Describe, TellsWhereEverythingInSightIs) {
  const Simulator simulator(HandMadeScene());
  Draws draws(1, RandomStream::kTest, 0), again = draws;
  const std::string text = Describe(simulator, Origin::kTable, draws);
  EXPECT_EQ(Describe(simulator, Origin::kTable, again), text);
  // (-0.10 + 0.175) / 0.005 = 15, (-0.05 + 0.175) / 0.005 = 25 ...
  for (const char* part : {"gripper:393924", "red cube:1525", "purple ball:3515", "yellow bar:5723", "green zone:1951",
                           "blue plate:5147"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_EQ(std::count(text.begin(), text.end(), ','), 5);
  std::set<std::string> orders;
  for (int i = 0; i < 20; ++i) orders.insert(Describe(simulator, Origin::kTable, draws));
  EXPECT_GT(orders.size(), 10U) << "in an order that is drawn";
  // From the gripper at (0.02, 0.02, 0.12): (-0.10 - 0.02) / 0.005 = -24 ...; the bar is turned by 0.5.
  const std::string from_gripper = Describe(simulator, Origin::kGripper, draws);
  for (const char* part : {"gripper:24", "red cube:-24-14", "purple ball:-04-24", "yellow bar:+18-16+10",
                           "green zone:-20+12", "blue plate:+12+08"}) {
    EXPECT_THAT(from_gripper, HasSubstr(part));
  }
}

TEST(Describe, APlanNamesWhatTheTaskIsAbout) {
  const Simulator simulator(HandMadeScene());
  const auto plan = [&](Task task) { return DescribePlan(simulator, task).value_or("out of sight"); };
  EXPECT_EQ(plan({TaskKind::kReach, kPurpleBall}), "purple ball:-04-24");
  EXPECT_EQ(plan({TaskKind::kPickBar, kYellowBar}), "yellow bar:+18-16+10");
  EXPECT_EQ(plan({TaskKind::kPlace, kRedCube, kBluePlate}), "red cube:-24-14, blue plate:+12+08");
  // The push to the left begins 5 cm to the right of the cube, the push into the zone on its far side.
  EXPECT_EQ(plan({.kind = TaskKind::kPush, .object = kRedCube, .side = Side::kLeft}), "red cube:-24-14, start:-14-14");
  EXPECT_EQ(plan({TaskKind::kPush, kRedCube, kGreenZone}), "red cube:-24-14, green zone:-20+12, start:-26-24");
  EXPECT_EQ(PlanPrompt("pick up the bar"), "where must the robot go to pick up the bar?");
}

TEST(Describe, APlanLeavesOutWhatIsHidden) {
  Scene scene = HandMadeScene();
  scene.gripper = {.x = -0.10, .y = -0.10, .z = 0.012};  // in front of the cube
  const Simulator simulator(scene);
  ASSERT_FALSE(simulator.InSight(kRedCube));
  EXPECT_FALSE(DescribePlan(simulator, {TaskKind::kReach, kRedCube}).has_value());
}

TEST(Describe, PatchesAreWordsOfWhatIsThere) {
  constexpr int64_t kSize = 64, kPatch = 8, kSide = kSize / kPatch;
  const Simulator simulator(HandMadeScene());
  Renderer renderer(kSize);
  Draws draws(1, RandomStream::kTest, 0);
  std::map<std::string, int> words;
  for (int i = 0; i < 8; ++i) {
    const std::vector<std::string> patches = PatchWords(simulator, renderer, kPatch, draws);
    ASSERT_EQ(patches.size(), static_cast<size_t>(kSide * kSide));
    EXPECT_EQ(patches[0], "table") << "the far left corner is empty";
    for (const std::string& word : patches) ++words[word];
  }
  for (const char* word :
       {"table", "hand", "red", "cube", "purple", "ball", "yellow", "bar", "green", "zone", "blue", "plate"}) {
    EXPECT_GT(words[word], 0) << word;
  }
  words.erase("spot");
  EXPECT_EQ(words.size(), 12U) << "and nothing else";
}

}  // namespace
}  // namespace kinetok::sim
