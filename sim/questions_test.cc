#include "sim/questions.h"

#include <map>
#include <regex>
#include <set>

#include "sim/expert.h"
#include "sim/sim_test_support.h"

namespace kinetok::sim {
namespace {

// Every question of a kind that some hundred draws give, with its answer.
std::map<std::string, std::string> AllOf(const Simulator& simulator, QuestionKind kind,
                                         Combinations combinations = Combinations::kSeen) {
  std::map<std::string, std::string> all;
  Draws draws(3, RandomStream::kTest, static_cast<uint64_t>(kind));
  for (int i = 0; i < 300; ++i) {
    const auto question = DrawQuestion(simulator, kind, combinations, draws);
    if (!question) continue;
    EXPECT_EQ(question->kind, kind);
    const auto [at, fresh] = all.emplace(question->text, question->answer);
    EXPECT_EQ(at->second, question->answer) << question->text;
  }
  return all;
}

using Answers = std::map<std::string, std::string>;

TEST(Questions, AreTrueOfAHandMadeScene) {
  const Simulator simulator(HandMadeScene());
  EXPECT_EQ(AllOf(simulator, QuestionKind::kCount), (Answers{{"how many objects are on the table?", "3"},
                                                             {"how many objects are there?", "3"},
                                                             {"count the objects on the table.", "3"}}));
  EXPECT_EQ(AllOf(simulator, QuestionKind::kShape).at("what shape is the red object?"), "cube");
  EXPECT_EQ(AllOf(simulator, QuestionKind::kShape).at("what is the purple object?"), "ball");
  EXPECT_EQ(AllOf(simulator, QuestionKind::kColor).at("what colour is the bar?"), "yellow");
  EXPECT_EQ(AllOf(simulator, QuestionKind::kZone), (Answers{{"what colour is the zone?", "green"},
                                                            {"which colour does the zone have?", "green"},
                                                            {"what is the colour of the zone?", "green"},
                                                            {"what colour is the plate?", "blue"},
                                                            {"which colour does the plate have?", "blue"},
                                                            {"what is the colour of the plate?", "blue"}}));
  EXPECT_EQ(AllOf(simulator, QuestionKind::kOpen).at("is the gripper open or closed?"), "open");
  EXPECT_EQ(AllOf(simulator, QuestionKind::kHolding).at("is the gripper holding something?"), "no");
  const Answers relations = AllOf(simulator, QuestionKind::kRelation);
  EXPECT_EQ(relations.at("is the red cube left or right of the purple ball?"), "left");
  EXPECT_EQ(relations.at("is the yellow bar left or right of the red cube?"), "right");
  EXPECT_EQ(relations.at("on which side of the yellow bar is the purple ball, left or right?"), "left");
  const Answers left = AllOf(simulator, QuestionKind::kLeftOf);
  EXPECT_EQ(left.at("what is left of the purple ball?"), "red cube");
  EXPECT_EQ(left.count("what is left of the yellow bar?"), 0U) << "two objects are";
  EXPECT_EQ(left.count("what is left of the red cube?"), 0U) << "nothing is";
}

TEST(Questions, AboutWhatThereIsNameNoHeldOutCombination) {
  const Answers exists = AllOf(Simulator(HandMadeScene()), QuestionKind::kExists);
  int64_t yes = 0, no = 0;
  const std::regex name("(red|green|blue|yellow|purple|orange) (cube|cylinder|ball|bar)");
  for (const auto& [text, answer] : exists) {
    std::smatch match;
    ASSERT_TRUE(std::regex_search(text, match, name)) << text;
    const bool there = match[0] == "red cube" || match[0] == "purple ball" || match[0] == "yellow bar";
    EXPECT_EQ(answer, there ? "yes" : "no") << text;
    EXPECT_THAT(
        (std::vector<std::string>{"green cube", "blue ball", "yellow cylinder", "purple cylinder", "orange bar"}),
        ::testing::Not(::testing::Contains(match[0].str())));
    ++(there ? yes : no);
  }
  EXPECT_EQ(yes, 9);
  EXPECT_GT(no, 20);
}

TEST(Questions, WithoutAClearAnswerAreNotAsked) {
  Scene scene = HandMadeScene();
  scene.objects[kRedCube] = {Shape::kCube, Color::kRed, -0.05, -0.05};
  scene.objects[kPurpleBall] = {Shape::kBall, Color::kPurple, 0.05, -0.05};
  scene.gripper = {.x = 0.005, .y = -0.05, .z = 0.14};  // 4.5 cm from one, 5.5 from the other
  EXPECT_TRUE(AllOf(Simulator(scene), QuestionKind::kNearest).empty());
  scene.gripper.x = -0.05;
  scene.gripper.y = 0.03;
  EXPECT_EQ(AllOf(Simulator(scene), QuestionKind::kNearest).at("what colour is the object nearest the gripper?"),
            "red");
  scene.objects[kPurpleBall].color = Color::kRed;
  EXPECT_EQ(AllOf(Simulator(scene), QuestionKind::kShape).count("what is the red object?"), 0U) << "two are red";
  scene.objects[kRedCube].x = 0.02;  // 3 cm left of the ball
  EXPECT_EQ(AllOf(Simulator(scene), QuestionKind::kRelation).count("is the red cube left or right of the red ball?"),
            0U);
  scene.zones[kGreenZone].shape = ZoneShape::kPlate;
  EXPECT_TRUE(AllOf(Simulator(scene), QuestionKind::kZone).empty()) << "two are plates";
}

TEST(Questions, KnowWhatTheGripperHolds) {
  Simulator simulator(HandMadeScene());
  ASSERT_TRUE(RunExpert(simulator, {TaskKind::kPick, kRedCube}).success);
  EXPECT_EQ(AllOf(simulator, QuestionKind::kHolding).at("is the gripper holding something?"), "yes");
  EXPECT_TRUE(AllOf(simulator, QuestionKind::kOpen).empty()) << "between open and closed";
  EXPECT_TRUE(AllOf(simulator, QuestionKind::kCount).empty()) << "one object is in the air";
}

TEST(Questions, ChanceIsTheBestConstantAnswerOfEachKind) {
  using enum QuestionKind;
  const std::vector<Question> questions = {
      {kExists, "", "yes"}, {kExists, "", "yes"}, {kExists, "", "no"}, {kCount, "", "2"}, {kCount, "", "3"}};
  EXPECT_DOUBLE_EQ(Chance(questions), 3.0 / 5);
  EXPECT_DOUBLE_EQ(Chance({}), 0);
}

TEST(Questions, AnswersAreComparedAsWords) {
  const Question question{QuestionKind::kLeftOf, "what is left of the blue ball?", "red cube"};
  EXPECT_EQ(QuestionPrompt(question), "In: what is left of the blue ball?\nOut:");
  for (const char* right : {"red cube", " Red cube.", "RED CUBE\n"}) EXPECT_TRUE(IsAnswer(question, right)) << right;
  for (const char* wrong : {"", "red", "red cube red cube", "a red cube", "."}) EXPECT_FALSE(IsAnswer(question, wrong));
}

}  // namespace
}  // namespace kinetok::sim
