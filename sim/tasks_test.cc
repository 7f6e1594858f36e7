#include "sim/tasks.h"

#include <cctype>
#include <set>

#include "sim/expert.h"
#include "sim/noise.h"
#include "sim/sim_test_support.h"

namespace kinetok::sim {
namespace {

using ::testing::HasSubstr;

TEST(Tasks, EveryPhrasingReadsBackAsItsTask) {
  const Scene scene = HandMadeScene();
  std::set<std::string> texts;
  std::set<TaskKind> kinds;
  for (const Task& task : TasksOf(scene)) {
    kinds.insert(task.kind);
    for (const std::string& name : NamesOf(scene, task.object)) {
      const std::vector<std::string> phrasings = Phrasings(scene, task, name);
      EXPECT_GE(phrasings.size(), 5U) << Name(task.kind);
      for (const std::string& text : phrasings) {
        EXPECT_EQ(ParseInstruction(scene, text), task) << text;
        EXPECT_TRUE(texts.insert(text).second) << text << " asks for two tasks";
        for (const char c : text) EXPECT_TRUE(std::islower(static_cast<unsigned char>(c)) || c == ' ') << text;
      }
    }
  }
  EXPECT_EQ(kinds.size(), kTasks.size());
  EXPECT_EQ(ParseInstruction(scene, "push the purple ball into the green zone"),
            (Task{TaskKind::kPush, kPurpleBall, kGreenZone}));
  EXPECT_THAT(ErrorOf([&] { ParseInstruction(scene, "pick up the green ball"); }),
              HasSubstr("\"pick up the green ball\" asks for nothing"));
}

TEST(Tasks, AnObjectIsNamedByColourOrShapeAloneOnlyWhereThatIsClear) {
  Scene scene = HandMadeScene();
  EXPECT_EQ(NamesOf(scene, kRedCube), (std::vector<std::string>{"red cube", "cube", "red object"}));
  scene.objects[kPurpleBall].shape = Shape::kCube;
  EXPECT_EQ(NamesOf(scene, kRedCube), (std::vector<std::string>{"red cube", "red object"}));
  EXPECT_EQ(ParseInstruction(scene, "lift the purple object"), (Task{TaskKind::kPick, kPurpleBall}));
  EXPECT_THAT(ErrorOf([&] { ParseInstruction(scene, "lift the cube"); }), HasSubstr("asks for nothing"));
  scene.objects[kYellowBar].color = Color::kRed;
  EXPECT_EQ(NamesOf(scene, kRedCube), (std::vector<std::string>{"red cube"}));
}

TEST(Tasks, NamesReadBack) {
  EXPECT_EQ(ParseTasks("reach,push,pick,pick_bar,place"), std::vector<TaskKind>(kTasks.begin(), kTasks.end()));
  const std::vector<TaskKind> often = ParseTasks("place,reach,place");
  EXPECT_EQ(often, (std::vector<TaskKind>{TaskKind::kPlace, TaskKind::kReach, TaskKind::kPlace}));
  EXPECT_EQ(Distinct(often), (std::vector<TaskKind>{TaskKind::kPlace, TaskKind::kReach}));
}

bool After(const Scene& start, const Task& task, const Scene& now) {
  return Succeeded(start, task, Simulator(now).state());
}

TEST(Tasks, ReachAsksForThreeCentimetresFromTheTop) {
  Scene scene = HandMadeScene();
  const Task task{TaskKind::kReach, kRedCube};
  for (const auto& [dx, dz, expected] :
       {std::tuple{0.0, 0.0, true}, {0.029, 0.0, true}, {0.031, 0.0, false}, {0.0, 0.029, true}, {0.0, 0.031, false}}) {
    scene.gripper = {.x = -0.10 + dx, .y = -0.05, .z = 0.04 + dz};
    EXPECT_EQ(After(scene, task, scene), expected) << dx << " " << dz;
  }
}

TEST(Tasks, PushAsksForEightCentimetresAndLessThanFiveAcross) {
  const Scene start = HandMadeScene();
  for (const auto& [side, sign] : {std::pair{Side::kLeft, -1}, {Side::kRight, 1}}) {
    const Task task{TaskKind::kPush, kPurpleBall, {}, side};
    for (const auto& [moved, across, expected] : {std::tuple{0.0, 0.0, false},
                                                  {0.079, 0.0, false},
                                                  {0.081, 0.0, true},
                                                  {0.081, 0.049, true},
                                                  {0.081, 0.051, false},
                                                  {-0.081, 0.0, false}}) {
      Scene now = start;
      now.objects[kPurpleBall].x += sign * moved;
      now.objects[kPurpleBall].y += across;
      EXPECT_EQ(After(start, task, now), expected) << moved << " " << across;
    }
  }
}

TEST(Tasks, PushIntoAZoneAsksForACentimetreInside) {
  const Scene start = HandMadeScene();
  const Task task{TaskKind::kPush, kPurpleBall, kGreenZone};
  for (const auto& [dx, dy, expected] :
       {std::tuple{0.039, 0.039, true}, {0.041, 0.0, false}, {0.0, -0.041, false}, {-0.039, -0.039, true}}) {
    Scene now = start;
    now.objects[kPurpleBall].x = -0.08 + dx;
    now.objects[kPurpleBall].y = 0.08 + dy;
    EXPECT_EQ(After(start, task, now), expected) << dx << " " << dy;
  }
}

// Of the expert's pushes, one by either rule: what it ends in, a success.
WorldState PushedState(const Task& task) {
  const Scene scene = HandMadeScene();
  Simulator simulator(scene);
  EXPECT_TRUE(RunExpert(simulator, task).success);
  return simulator.state();
}

TEST(Tasks, PushIsNotCarryingThroughTheAir) {
  for (const Task& task : {Task{TaskKind::kPush, kPurpleBall, kGreenZone}, Task{TaskKind::kPush, kPurpleBall}}) {
    WorldState state = PushedState(task);
    state.objects[kPurpleBall].bottom = kRestHeight;
    EXPECT_TRUE(Succeeded(HandMadeScene(), task, state));
    state.objects[kPurpleBall].bottom = kRestHeight + 0.001;
    EXPECT_FALSE(Succeeded(HandMadeScene(), task, state));
  }
}

TEST(Tasks, PushIsNotDraggingBetweenTheFingers) {
  for (const Task& task : {Task{TaskKind::kPush, kPurpleBall, kGreenZone}, Task{TaskKind::kPush, kPurpleBall}}) {
    WorldState state = PushedState(task);
    state.objects[kPurpleBall].left = state.objects[kPurpleBall].right = true;
    state.opening = kGripped - 0.001;
    EXPECT_TRUE(Succeeded(HandMadeScene(), task, state)) << "closed fingers push with both";
    state.opening = 0.042;  // the ball between them
    EXPECT_FALSE(Succeeded(HandMadeScene(), task, state));
    state.objects[kPurpleBall].left = false;
    EXPECT_TRUE(Succeeded(HandMadeScene(), task, state));
  }
}

// Physically: picks the ball up and carries it over the zone, where a push would end.
TEST(Tasks, WhatFliesOverTheZoneHasNotBeenPushedThere) {
  const Scene scene = HandMadeScene();
  const Task push{TaskKind::kPush, kPurpleBall, kGreenZone};
  Simulator simulator(scene);
  ASSERT_TRUE(RunExpert(simulator, {TaskKind::kPick, kPurpleBall}).success);
  const auto over = [&] {
    const Vec3& p = simulator.state().objects[kPurpleBall].position;
    return std::max(std::abs(p[0] - scene.zones[kGreenZone].x), std::abs(p[1] - scene.zones[kGreenZone].y)) < 0.02;
  };
  for (int step = 0; step < 20 && !over(); ++step) {
    const Vec3& p = simulator.state().objects[kPurpleBall].position;
    simulator.Step(ActionVector{scene.zones[kGreenZone].x - p[0], scene.zones[kGreenZone].y - p[1], 0, 0, 0, 0, 0});
  }
  ASSERT_TRUE(over());
  EXPECT_FALSE(Succeeded(scene, push, simulator.state()));
}

TEST(Tasks, PickAsksForFiveCentimetresBetweenTheFingers) {
  const Scene scene = HandMadeScene();
  const Task task{TaskKind::kPick, kRedCube};
  Simulator simulator(scene);
  ASSERT_TRUE(RunExpert(simulator, task).success);
  EXPECT_GE(simulator.state().objects[kRedCube].bottom, kPickHeight);
  WorldState low = simulator.state(), loose = low;
  low.objects[kRedCube].bottom = kPickHeight - 0.001;
  EXPECT_FALSE(Succeeded(scene, task, low));
  low.objects[kRedCube].bottom = kPickHeight;
  EXPECT_TRUE(Succeeded(scene, task, low));
  loose.objects[kRedCube].left = false;
  EXPECT_FALSE(Succeeded(scene, task, loose));
}

TEST(Tasks, ABarIsToBeHeldAcrossAndToLieAsItLay) {
  const Scene scene = HandMadeScene();
  const Task task{TaskKind::kPickBar, kYellowBar};
  Simulator simulator(scene);
  ASSERT_TRUE(RunExpert(simulator, task).success);
  const WorldState held = simulator.state();
  for (const auto& [off, expected] :
       {std::pair{0.0, true}, {kBarAlignment - 0.01, true}, {kBarAlignment + 0.01, false}}) {
    for (const double sign : {-1.0, 1.0}) {
      WorldState by_corners = held;  // as it lay, but the fingers are turned
      by_corners.objects[kYellowBar].yaw = scene.objects[kYellowBar].yaw;
      by_corners.gripper.yaw = scene.objects[kYellowBar].yaw + sign * off;
      EXPECT_EQ(Succeeded(scene, task, by_corners), expected) << sign * off;
      WorldState turned = held;  // across, but both are turned
      turned.objects[kYellowBar].yaw = turned.gripper.yaw = scene.objects[kYellowBar].yaw + sign * off;
      EXPECT_EQ(Succeeded(scene, task, turned), expected) << sign * off;
      turned.objects[kYellowBar].yaw += kPi;  // a bar has no front
      EXPECT_EQ(Succeeded(scene, task, turned), expected) << sign * off;
    }
  }
}

TEST(Tasks, PlaceAsksForRestNearThePlatesMiddleAndAnOpenHand) {
  const Scene start = HandMadeScene();
  const Task task{TaskKind::kPlace, kRedCube, kBluePlate};
  for (const auto& [dx, expected] : {std::pair{0.0, true}, {0.034, true}, {0.036, false}}) {
    Scene now = start;
    now.gripper = {.x = -0.1, .y = -0.1, .z = 0.1};
    now.objects[kRedCube].x = 0.08 + dx;
    now.objects[kRedCube].y = 0.06;
    EXPECT_EQ(After(start, task, now), expected) << dx;
  }
  Scene on_plate = start;
  on_plate.objects[kRedCube].x = 0.08;
  on_plate.objects[kRedCube].y = 0.06;
  WorldState state = Simulator(on_plate).state();
  ASSERT_TRUE(Succeeded(start, task, state));
  const auto spoiled = [&](const std::function<void(WorldState&)>& spoil) {
    WorldState s = state;
    spoil(s);
    return !Succeeded(start, task, s);
  };
  EXPECT_TRUE(spoiled([](WorldState& s) { s.opening = kOpenEnough - 0.001; }));
  EXPECT_TRUE(spoiled([](WorldState& s) { s.objects[kRedCube].left = true; }));
  EXPECT_TRUE(spoiled([](WorldState& s) { s.objects[kRedCube].speed = kRestSpeed + 0.001; }));
  EXPECT_TRUE(spoiled([](WorldState& s) { s.objects[kRedCube].bottom = kRestHeight + 0.001; }));
}

class ExpertTest : public ::testing::TestWithParam<TaskKind> {};

TEST_P(ExpertTest, SucceedsAlsoWhenDisturbed) {
  constexpr uint64_t kEpisodes = 12;
  int64_t clean = 0, disturbed = 0;
  for (uint64_t i = 0; i < kEpisodes; ++i) {
    const Situation situation = DrawSituation(21, i, {.tasks = {GetParam()}, .combinations = Combinations::kAll});
    Simulator simulator(situation.scene);
    const EpisodeResult result = RunExpert(simulator, situation.task, 40);
    clean += static_cast<int64_t>(result.success);
    Simulator shaken(situation.scene);
    EpisodeOptions options;
    options.disturb = [&](const ActionVector& a, int64_t step) { return Disturb(a, 0.3, 1, i, step); };
    disturbed += static_cast<int64_t>(
        RunEpisode(shaken, situation.task, "", ExpertController(situation.scene, situation.task), options).success);
  }
  EXPECT_EQ(clean, static_cast<int64_t>(kEpisodes));
  EXPECT_GE(disturbed, static_cast<int64_t>(kEpisodes) - 1);
}

std::string TaskName(const ::testing::TestParamInfo<TaskKind>& info) {
  return std::string(Name(info.param));
}
INSTANTIATE_TEST_SUITE_P(Tasks, ExpertTest, ::testing::ValuesIn(kTasks), TaskName);

TEST(Expert, GraspsABarAcross) {
  for (const double yaw : {-0.9, 0.0, 0.9}) {
    Scene scene = HandMadeScene();
    scene.objects[kYellowBar] = {Shape::kBar, Color::kYellow, 0.05, -0.02, yaw};
    Simulator simulator(scene);
    ASSERT_TRUE(RunExpert(simulator, {TaskKind::kPickBar, kYellowBar}).success) << yaw;
    EXPECT_NEAR(simulator.state().gripper.yaw, yaw, 0.15);
    EXPECT_NEAR(simulator.state().opening, 0.03, 0.004);
  }
}

// Fingers that do not turn take most bars by their corners, or turn them as they close, which is no success.
TEST(Expert, ABarThatLiesAcrossCannotBePickedUpWithoutATurn) {
  constexpr double kLiesWell = 0.2, kNeedsTurn = 0.45;  // radians between the bar and the fingers as they begin
  int64_t well = 0, needed = 0;
  for (uint64_t i = 0; i < 24; ++i) {
    const Situation situation = DrawSituation(21, i, {.tasks = {TaskKind::kPickBar}});
    const size_t bar = situation.task.object;
    const double off = std::abs(Wrap(situation.scene.objects[bar].yaw - situation.scene.gripper.yaw, kPi));
    const Controller expert = ExpertController(situation.scene, situation.task);
    const Controller still = [&](const Image& image, std::string_view text, const WorldState& state) {
      ActionVector action = expert(image, text, state);
      action[5] = 0;
      return action;
    };
    // Believes that the bar lies as it needs it, and so does not wait for the turn above it.
    const Controller careless = [&](const Image& image, std::string_view text, WorldState state) {
      state.objects[bar].yaw = state.gripper.yaw;
      return still(image, text, state);
    };
    const auto succeeds = [&](const Controller& controller) {
      Simulator simulator(situation.scene);
      return RunEpisode(simulator, situation.task, "", controller).success;
    };
    EXPECT_TRUE(succeeds(expert)) << "episode " << i;
    if (off > kNeedsTurn) {
      ++needed;
      EXPECT_FALSE(succeeds(careless)) << "episode " << i << ", " << off;
      EXPECT_FALSE(succeeds(still)) << "episode " << i << ", " << off;
    } else if (off < kLiesWell) {
      ++well;
      EXPECT_TRUE(succeeds(careless)) << "episode " << i << ", " << off;
    }
  }
  EXPECT_GE(needed, 10);
  EXPECT_GE(well, 2);
}

TEST(Expert, SlidesToWhereAPushBeginsInsteadOfRising) {
  const Scene scene = HandMadeScene();
  const Task task{TaskKind::kPush, kPurpleBall, {}, Side::kLeft};  // begins 5 cm to the right of the ball
  WorldState state = Simulator(scene).state();
  state.opening = 0;
  state.gripper = {.x = 0.055, .y = -0.125, .z = 0.022};  // low, and 2.5 cm beside the line through the ball
  const ActionVector slides = ExpertAction(scene, task, state), rises = ExpertAction(scene, task, state, 0);
  EXPECT_GE(slides[1], 0.015);
  EXPECT_NEAR(slides[2], 0, 0.003);
  EXPECT_NEAR(rises[1], 0, 0.003);
  EXPECT_GE(rises[2], 0.025);
  state.gripper.y = -0.165;  // too far away to stay low
  EXPECT_GE(ExpertAction(scene, task, state)[2], 0.025);
}

TEST(Expert, PicksUpAgainWhatWasDropped) {
  const Scene scene = HandMadeScene();
  const Task task{TaskKind::kPlace, kRedCube, kBluePlate};
  Simulator simulator(scene);
  while (simulator.state().held() < 0) simulator.Step(ExpertAction(scene, task, simulator.state()));
  simulator.Step(ActionVector{0.03, 0, 0.03, 0, 0, 0.3, 1});
  ASSERT_EQ(simulator.state().held(), -1);
  EXPECT_TRUE(RunExpert(simulator, task).success);
}

TEST(Noise, IsAFunctionOfItsArgumentsAndNothingAtLevelZero) {
  const ActionVector action = {0.01, 0, -0.02, 0, 0, 0.1, 1};
  int64_t changed = 0;
  for (int64_t step = 0; step < 400; ++step) {
    EXPECT_EQ(Disturb(action, 0, 1, 2, step), action);
    EXPECT_EQ(Disturb(action, 0.3, 1, 2, step), Disturb(action, 0.3, 1, 2, step));
    changed += static_cast<int64_t>(Disturb(action, 0.3, 1, 2, step) != action);
  }
  // 30% of the steps and the bursts: 3% begin in a step and last for 4.5 on average.
  EXPECT_NEAR(static_cast<double>(changed) / 400, 1 - 0.7 * 0.87, 0.1);
  EXPECT_THAT(ErrorOf([&] { Disturb(action, 1.5, 0, 0, 0); }), HasSubstr("noise is 1.5; expected 0 to 1"));
}

}  // namespace
}  // namespace kinetok::sim
