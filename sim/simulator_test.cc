#include "sim/simulator.h"

#include <mujoco/mujoco.h>

#include <cmath>
#include <limits>

#include "sim/expert.h"
#include "sim/renderer.h"
#include "sim/sim_test_support.h"

namespace kinetok::sim {
namespace {

using ::testing::HasSubstr;

constexpr ActionVector kStay = {0, 0, 0, 0, 0, 0, 1};

TEST(Simulator, MovesByWhatTheActionSays) {
  Simulator simulator(HandMadeScene());
  simulator.Step(ActionVector{0.02, -0.01, 0.015, 0.1, -0.05, 0.2, 1});
  const GripperPose& g = simulator.state().gripper;
  EXPECT_NEAR(g.x, 0.04, 1e-3);
  EXPECT_NEAR(g.y, 0.01, 1e-3);
  EXPECT_NEAR(g.z, 0.135, 1e-3);
  EXPECT_NEAR(g.roll, 0.1, 5e-3);
  EXPECT_NEAR(g.pitch, -0.05, 5e-3);
  EXPECT_NEAR(g.yaw, 0.2, 1e-2);
  EXPECT_NEAR(simulator.state().opening, 0.08, 1e-3);
}

TEST(Simulator, ClampsDeltasAndKeepsTheGripperWithinItsReach) {
  Simulator simulator(HandMadeScene());
  simulator.Step(ActionVector{1, 0, 0, 0, 0, -3, 1});
  EXPECT_NEAR(simulator.state().gripper.x, 0.02 + kMaxMove, 1e-3);
  EXPECT_NEAR(simulator.state().gripper.yaw, -kMaxTurn, 2e-2);
  for (int i = 0; i < 12; ++i) simulator.Step(ActionVector{1, 1, 1, 1, 1, 1, 1});
  const GripperPose& g = simulator.state().gripper;
  EXPECT_NEAR(g.x, kGripperReach, 1e-3);
  EXPECT_NEAR(g.y, kGripperReach, 1e-3);
  EXPECT_NEAR(g.z, kGripperHigh, 1e-3);
  EXPECT_NEAR(g.roll, kMaxTilt, 1e-2);
  EXPECT_NEAR(g.yaw, kMaxYaw, 1e-2);
}

TEST(Simulator, StaysWhereItIs) {
  Simulator simulator(HandMadeScene());
  for (int i = 0; i < 20; ++i) simulator.Step(kStay);
  const GripperPose& g = simulator.state().gripper;
  EXPECT_NEAR(g.x, 0.02, 1e-3);
  EXPECT_NEAR(g.z, 0.12, 1e-3);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(simulator.state().objects[i].position[0], simulator.scene().objects[i].x, 1e-3);
    EXPECT_NEAR(simulator.state().objects[i].bottom, 0, 1e-3);
  }
}

TEST(Simulator, OpensFromOneHalfOn) {
  Simulator simulator(HandMadeScene());
  simulator.Step(ActionVector{0, 0, 0, 0, 0, 0, 0.499});
  EXPECT_LT(simulator.state().opening, 0.01);
  simulator.Step(ActionVector{0, 0, 0, 0, 0, 0, 0.5});
  EXPECT_GT(simulator.state().opening, 0.07);
}

TEST(Simulator, HoldsWhatItGrasped) {
  Simulator simulator(HandMadeScene());
  ASSERT_TRUE(RunExpert(simulator, {TaskKind::kPick, kRedCube}).success);
  EXPECT_EQ(simulator.state().held(), static_cast<int>(kRedCube));
  for (int i = 0; i < 10; ++i) simulator.Step(ActionVector{i < 5 ? 0.03 : -0.03, 0, 0, 0, 0, 0.2, 0});
  EXPECT_EQ(simulator.state().held(), static_cast<int>(kRedCube));
  EXPECT_GT(simulator.state().objects[kRedCube].bottom, 0.04);
  simulator.Step(kStay);
  EXPECT_EQ(simulator.state().held(), -1);
}

TEST(Simulator, SameActionsGiveTheSameBits) {
  const Situation situation = DrawSituation(4, 3);
  Simulator a(situation.scene), b(situation.scene);
  for (int i = 0; i < 12; ++i) {
    a.Step(ExpertAction(situation.scene, situation.task, a.state()));
    b.Step(ExpertAction(situation.scene, situation.task, b.state()));
    ASSERT_EQ(a.Save(), b.Save()) << "after step " << i;
  }
}

TEST(Simulator, GoesOnFromASavedStateWithTheSameBits) {
  for (uint64_t episode = 0; episode < 20; ++episode) {
    const Situation situation = DrawSituation(4, episode);
    const auto act = [&](const Simulator& s) { return ExpertAction(situation.scene, situation.task, s.state()); };
    Simulator first(situation.scene), second(situation.scene);
    for (int i = 0; i < 9; ++i) first.Step(act(first));
    second.Load(first.Save());
    ASSERT_EQ(first.Save(), second.Save()) << "episode " << episode;
    for (int i = 0; i < 4; ++i) {
      ASSERT_EQ(act(first), act(second)) << "episode " << episode;
      first.Step(act(first));
      second.Step(act(second));
      ASSERT_EQ(first.Save(), second.Save()) << "episode " << episode << ", step " << i;
    }
  }
}

TEST(Simulator, RefusesActionsAndStatesThatAreNone) {
  Simulator simulator(HandMadeScene());
  EXPECT_THAT(ErrorOf([&] { simulator.Step(std::vector<double>(6)); }), HasSubstr("6 numbers; expected 7"));
  ActionVector bad = kStay;
  bad[5] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(ErrorOf([&] { simulator.Step(bad); }), "action: number 5 is nan; expected a finite one");
  bad[5] = std::numeric_limits<double>::infinity();
  EXPECT_THAT(ErrorOf([&] { simulator.Step(bad); }), HasSubstr("number 5 is inf"));
  std::vector<double> saved = simulator.Save();
  saved.pop_back();
  EXPECT_THAT(ErrorOf([&] { simulator.Load(saved); }), HasSubstr("numbers; this scene's have"));
  saved.push_back(std::numeric_limits<double>::quiet_NaN());
  EXPECT_THAT(ErrorOf([&] { simulator.Load(saved); }), HasSubstr("is nan"));
}

TEST(Simulator, TellsWhenItsPhysicsFail) {
  Simulator simulator(HandMadeScene());
  for (int i = 0; i < 3; ++i) simulator.Step(kStay);
  std::vector<double> saved = simulator.Save();
  const size_t velocity = 1 + static_cast<size_t>(simulator.model()->nq);
  saved[velocity + 8] = 1e12;  // an object's, metres a second: MuJoCo gives up and starts from its first state
  simulator.Load(saved);
  EXPECT_THROW(simulator.Step(kStay), PhysicsError);
  Simulator again(HandMadeScene());
  again.Load(saved);
  EXPECT_EQ(ErrorOf([&] { again.Step(kStay); }), "simulator: the physics became unstable at 0.6 s");
}

TEST(Simulator, TellsWhenContactsAreLeftOut) {
  const std::string expected = "simulator: more things touch at 0.0 s than MuJoCo has room for";
  Simulator contacts(HandMadeScene()), forces(HandMadeScene());
  contacts.model()->nconmax = 3;  // a cube and a bar alone touch the table with eight corners
  EXPECT_EQ(ErrorOf([&] { contacts.Step(kStay); }), expected);
  forces.model()->njmax = 12;
  EXPECT_EQ(ErrorOf([&] { forces.Step(kStay); }), expected);
}

TEST(Simulator, AFaultOfThePhysicsIsAFailedEpisode) {
  Simulator simulator(HandMadeScene());
  int64_t steps = 0;
  const Controller stay = [&](const Image&, std::string_view, const WorldState&) {
    if (++steps == 3) simulator.model()->nconmax = 3;
    return kStay;
  };
  const EpisodeResult result = RunEpisode(simulator, {TaskKind::kPick, kRedCube}, "", stay);
  EXPECT_FALSE(result.success);
  EXPECT_FALSE(result.cancelled);
  EXPECT_EQ(result.steps, 3);
  EXPECT_THAT(result.fault, HasSubstr("more things touch at 0.4 s"));
}

TEST(Simulator, KnowsWhatTheCameraSees) {
  Scene scene = HandMadeScene();
  Simulator simulator(scene);
  for (size_t i = 0; i < scene.objects.size(); ++i) EXPECT_TRUE(simulator.InSight(i)) << scene.objects[i].Name();
  scene.gripper = {.x = -0.10, .y = -0.10, .z = 0.012};  // in front of the cube
  Simulator other(scene);
  std::vector<double> saved = other.Save();
  constexpr size_t kTime = 1, kGripper = 8, kObject = 7;  // numbers before the bar's x
  saved[kTime + kGripper + kObject * kYellowBar] = 0.22;  // out of the picture
  other.Load(saved);
  EXPECT_FALSE(other.InSight(kRedCube));
  EXPECT_FALSE(other.InSight(kYellowBar));
  EXPECT_TRUE(other.InSight(kPurpleBall));
}

TEST(Renderer, SameStateGivesTheSamePixelsAndAnotherOthers) {
  const Situation situation = DrawSituation(4, 5);
  Simulator simulator(situation.scene);
  Renderer renderer(64), again(64);
  const Image first = renderer.Render(simulator);
  EXPECT_EQ(first.width, 64);
  EXPECT_EQ(first.pixels, renderer.Render(simulator).pixels);
  EXPECT_EQ(first.pixels, again.Render(Simulator(situation.scene)).pixels);
  simulator.Step(ActionVector{0.02, 0, 0, 0, 0, 0, 1});
  EXPECT_NE(first.pixels, renderer.Render(simulator).pixels);
  EXPECT_NE(first.pixels, renderer.Render(Simulator(DrawSituation(5, 5).scene)).pixels);
}

TEST(Renderer, ShowsObjectsWhereTheyAreInTheirColours) {
  Scene scene;
  scene.objects = {{Shape::kCube, Color::kRed, -0.10, 0}, {Shape::kCube, Color::kBlue, 0.10, 0}};
  scene.gripper = {.x = 0, .y = 0.15, .z = 0.15};
  Renderer renderer(96);
  const Image image = renderer.Render(Simulator(scene));
  std::array<double, 2> x{};
  std::array<int, 2> count{};
  for (int64_t i = 0; i < 96 * 96; ++i) {
    const uint8_t* p = &image.pixels[static_cast<size_t>(3 * i)];
    if (p[0] > 2 * p[1] && p[0] > 2 * p[2] && p[0] > 80) x[0] += static_cast<double>(i % 96), ++count[0];
    if (p[2] > 2 * p[0] && p[2] > 2 * p[1] && p[2] > 80) x[1] += static_cast<double>(i % 96), ++count[1];
  }
  // 4 cm are more than 10 pixels wide at 96 pixels: one is less than 4 mm.
  EXPECT_GT(count[0], 100);
  EXPECT_GT(count[1], 100);
  EXPECT_NEAR(x[0] / count[0], 48 - 0.10 / 0.18 * 48, 2);
  EXPECT_NEAR(x[1] / count[1], 48 + 0.10 / 0.18 * 48, 2);
}

TEST(Renderer, RefusesSizesThatAreNone) {
  EXPECT_THAT(ErrorOf([] { Renderer(8); }), HasSubstr("image_size is 8; expected 16 to 1024"));
  EXPECT_THAT(ErrorOf([] { Renderer(5000); }), HasSubstr("image_size is 5000"));
}

}  // namespace
}  // namespace kinetok::sim
