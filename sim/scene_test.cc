#include <cmath>
#include <map>
#include <set>

#include "sim/sim_test_support.h"

namespace kinetok::sim {
namespace {

using ::testing::HasSubstr;

std::string Text(const Situation& s) {
  return SceneXml(s.scene) + s.instruction + std::to_string(s.scene.gripper.x) + std::to_string(s.scene.gripper.yaw);
}

TEST(Layout, IsAFunctionOfSeedAndEpisode) {
  std::set<std::string> all;
  for (uint64_t episode = 0; episode < 50; ++episode) {
    EXPECT_EQ(Text(DrawSituation(7, episode)), Text(DrawSituation(7, episode)));
    all.insert(Text(DrawSituation(7, episode)));
    all.insert(Text(DrawSituation(8, episode)));
  }
  EXPECT_EQ(all.size(), 100U);
}

TEST(Layout, TasksComeInTurnAndAreThoseOfTheScene) {
  const LayoutOptions options{.tasks = {TaskKind::kPlace, TaskKind::kPickBar}};
  for (uint64_t episode = 0; episode < 40; ++episode) {
    const Situation s = DrawSituation(1, episode, options);
    EXPECT_EQ(s.task.kind, options.tasks[episode % 2]);
    EXPECT_EQ(ParseInstruction(s.scene, s.instruction), s.task) << s.instruction;
  }
}

TEST(Layout, ThingsStandApartAndWithinReach) {
  for (uint64_t episode = 0; episode < 300; ++episode) {
    const Scene scene = DrawSituation(3, episode).scene;
    EXPECT_GE(scene.objects.size(), 2U);
    EXPECT_LE(scene.objects.size(), 4U);
    EXPECT_GE(scene.zones.size(), 1U);
    EXPECT_LE(scene.zones.size(), 2U);
    std::set<std::string> names;
    for (size_t i = 0; i < scene.objects.size(); ++i) {
      const SceneObject& a = scene.objects[i];
      EXPECT_TRUE(names.insert(a.Name()).second) << a.Name() << " is there twice";
      EXPECT_LE(std::max(std::abs(a.x), std::abs(a.y)), kLayoutReach);
      for (size_t j = 0; j < i; ++j) {
        const SceneObject& b = scene.objects[j];
        EXPECT_GT(std::hypot(a.x - b.x, a.y - b.y), Radius(a.shape) + Radius(b.shape));
      }
      for (const SceneZone& zone : scene.zones) EXPECT_GT(std::hypot(a.x - zone.x, a.y - zone.y), kZoneHalf);
    }
  }
}

TEST(Layout, SeenScenesHoldNoHeldOutCombinationAndUnseenAskForNothingElse) {
  std::set<std::string> seen, unseen, all;
  for (uint64_t episode = 0; episode < 500; ++episode) {
    for (const SceneObject& o : DrawSituation(5, episode, {.combinations = Combinations::kSeen}).scene.objects) {
      EXPECT_FALSE(IsHeldOut(o.color, o.shape)) << o.Name();
      seen.insert(o.Name());
    }
    const Situation u = DrawSituation(5, episode, {.combinations = Combinations::kUnseen});
    const SceneObject& target = u.scene.objects[u.task.object];
    EXPECT_TRUE(IsHeldOut(target.color, target.shape)) << target.Name();
    unseen.insert(target.Name());
    const Situation a = DrawSituation(5, episode, {.combinations = Combinations::kAll});
    all.insert(a.scene.objects[a.task.object].Name());
  }
  EXPECT_EQ(seen.size() + unseen.size(), kColors.size() * kShapes.size());
  EXPECT_EQ(all.size(), kColors.size() * kShapes.size());
}

TEST(Layout, EveryColourAndShapeIsSeenInSomeCombination) {
  for (const Color color : kColors) {
    EXPECT_TRUE(std::any_of(kShapes.begin(), kShapes.end(), [&](Shape s) { return !IsHeldOut(color, s); }));
  }
  for (const Shape shape : kShapes) {
    const auto seen = std::count_if(kColors.begin(), kColors.end(), [&](Color c) { return !IsHeldOut(c, shape); });
    EXPECT_GE(seen, 4);
    EXPECT_LT(seen, static_cast<int64_t>(kColors.size())) << "no combination of " << Name(shape) << " is held out";
  }
}

TEST(Layout, PartialNamesChangeTheWordsAndNothingElse) {
  int partial = 0;
  for (uint64_t episode = 0; episode < 100; ++episode) {
    const Situation whole = DrawSituation(5, episode), part = DrawSituation(5, episode, {.partial_names = 1});
    EXPECT_EQ(SceneXml(whole.scene), SceneXml(part.scene));
    EXPECT_EQ(part.task, whole.task);
    EXPECT_EQ(ParseInstruction(part.scene, part.instruction), part.task) << part.instruction;
    const std::string name = part.scene.objects[part.task.object].Name();
    EXPECT_THAT(whole.instruction, HasSubstr(name));
    partial += static_cast<int>(part.instruction.find(name) == std::string::npos);
  }
  EXPECT_GT(partial, 50) << "of 100 scenes; in some everything else shares the object's colour or shape";
}

TEST(Layout, NamesThatAreNoneAreErrors) {
  EXPECT_EQ(ErrorOf([] { ParseCombinations("some"); }), "combinations is \"some\"; expected seen, unseen or all");
  EXPECT_THAT(ErrorOf([] { ParseTasks("pick,juggle"); }), HasSubstr("\"juggle\" is no task; expected reach, push"));
  EXPECT_THAT(ErrorOf([] { ParseTasks(""); }), HasSubstr("\"\" is no task"));
  EXPECT_THAT(ErrorOf([] { DrawSituation(1, 0, {.tasks = {}}); }), HasSubstr("there is none"));
  EXPECT_EQ(ErrorOf([] { DrawSituation(1, 0, {.partial_names = 1.5}); }), "partial_names is 1.5; expected 0 to 1");
}

TEST(SceneXml, RefusesWhatTheTableCannotHold) {
  Scene scene = HandMadeScene();
  scene.objects[0].x = 0.4;
  EXPECT_THAT(ErrorOf([&] { SceneXml(scene); }), HasSubstr("the red cube is at (0.4, -0.05); expected within 0.175"));
  scene.objects.assign(kMaxObjects + 1, {});
  EXPECT_THAT(ErrorOf([&] { SceneXml(scene); }), HasSubstr("7 objects; expected at most 6"));
  scene.objects.clear();
  scene.zones.assign(kMaxZones + 1, {});
  EXPECT_THAT(ErrorOf([&] { SceneXml(scene); }), HasSubstr("5 zones; expected at most 4"));
}

}  // namespace
}  // namespace kinetok::sim
