#include "sim/record.h"

#include <gif_lib.h>
#include <mujoco/mujoco.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "kinetok/base/file.h"
#include "kinetok/io/demonstrations.h"
#include "sim/evaluation.h"
#include "sim/expert.h"
#include "sim/noise.h"
#include "sim/questions.h"
#include "sim/sim_test_support.h"
#include "sim/strip.h"

namespace kinetok::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RecordTest : public ::testing::Test {
 protected:
  RecordTest() { std::filesystem::create_directories(dir_); }
  ~RecordTest() override { std::filesystem::remove_all(dir_); }
  std::filesystem::path dir_ =
      std::filesystem::path(::testing::TempDir()) /
      ("kinetok_record_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
};

TEST_F(RecordTest, ReadsBackAsItHappened) {
  const RecordOptions options{.out = dir_ / "demos.hdf5",
                              .episodes = 5,
                              .seed = 2,
                              .image_size = 32,
                              .noise = 0,
                              .questions = dir_ / "questions.jsonl"};
  const RecordSummary summary = Record(options);
  EXPECT_EQ(summary.episodes, 5);
  EXPECT_EQ(summary.kept, 5);
  const DemonstrationFile file(options.out);
  ASSERT_EQ(file.demonstrations().size(), 5U);
  EXPECT_EQ(file.image_rotation(), 0);
  EXPECT_EQ(file.dimensions(), 7);
  Renderer renderer(32);
  int64_t steps = 0;
  for (int64_t demo = 0; demo < 5; ++demo) {
    const Situation situation = DrawSituation(2, static_cast<uint64_t>(demo));
    const DemonstrationInfo& info = file.demonstrations()[static_cast<size_t>(demo)];
    EXPECT_EQ(info.instruction, situation.instruction);
    const Json episode = file.Attribute(demo, "episode");
    EXPECT_EQ(episode.at("index"), demo);
    EXPECT_EQ(episode.at("task"), Name(situation.task.kind));
    EXPECT_EQ(episode.at("success"), true);
    steps += info.steps;
    const std::vector<double>& actions = file.Actions(demo);
    Simulator simulator(situation.scene);
    for (int64_t step = 0; step < info.steps; ++step) {
      EXPECT_EQ(file.ReadImage(demo, step).pixels, renderer.Render(simulator).pixels);
      const ActionVector action = ExpertAction(situation.scene, situation.task, simulator.state());
      const double* row = &actions[static_cast<size_t>(step) * kActionSize];
      EXPECT_TRUE(std::equal(row, row + 6, action.begin()));
      EXPECT_EQ(row[6], action[6] == 1 ? -1 : 1) << "LIBERO's gripper is -1 open, 1 closed";
      simulator.Step(action);
    }
    EXPECT_TRUE(Succeeded(situation.scene, situation.task, simulator.state()));
  }
  EXPECT_EQ(summary.steps, steps);

  const std::string lines = ReadFile(options.questions);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), summary.questions);
  ASSERT_GT(summary.questions, 0);
  const Json first = ParseJson(lines.substr(0, lines.find('\n')), "questions");
  EXPECT_THAT(first.at("image").get<std::string>(), ::testing::StartsWith("demos.hdf5:demo_"));
  EXPECT_THAT(first.at("prompt").get<std::string>(),
              ::testing::AllOf(::testing::StartsWith("In: "), ::testing::EndsWith("\nOut:")));
  EXPECT_THAT(first.at("completion").get<std::string>(), ::testing::StartsWith(" "));
}

TEST_F(RecordTest, DescribesPicturesIntoAFileOfTheirOwn) {
  RecordOptions options{.out = dir_ / "demos.hdf5", .episodes = 4, .seed = 2, .image_size = 32};
  std::filesystem::create_directories(dir_ / "lines");
  options.descriptions = dir_ / "lines" / "see.jsonl";
  options.patch = 8;
  const RecordSummary summary = Record(options);
  const std::string lines = ReadFile(options.descriptions);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), summary.descriptions);
  ASSERT_GT(summary.descriptions, 0);
  EXPECT_EQ(summary.questions, 0);
  const Json first = ParseJson(lines.substr(0, lines.find('\n')), "descriptions");
  EXPECT_THAT(first.at("image").get<std::string>(), ::testing::StartsWith("../demos.hdf5:demo_"));
  EXPECT_THAT(first.at("prompt").get<std::string>(), ::testing::StartsWith("In: what is where"));
  EXPECT_THAT(first.at("completion").get<std::string>(), HasSubstr("gripper:"));
  EXPECT_THAT(lines, ::testing::AllOf(HasSubstr("where?"), HasSubstr("where from the gripper?")));
  EXPECT_EQ(first.at("patches").size(), 16U);
  EXPECT_THAT(lines, ::testing::Not(HasSubstr("must the robot go")));

  options.plans_per_episode = 2;
  Record(options);
  EXPECT_THAT(ReadFile(options.descriptions), HasSubstr("where must the robot go to "));
}

TEST_F(RecordTest, ATaskNamedTwiceComesTwiceAsOften) {
  RecordOptions options{.out = dir_ / "demos.hdf5", .episodes = 6, .seed = 4, .image_size = 16};
  options.layout.tasks = {TaskKind::kReach, TaskKind::kPick, TaskKind::kReach};
  const RecordSummary summary = Record(options);
  ASSERT_EQ(summary.by_task.size(), 2U);
  EXPECT_EQ(summary.by_task[0].kind, TaskKind::kReach);
  EXPECT_EQ(summary.by_task[0].episodes, 4);
  EXPECT_EQ(summary.by_task[1].episodes, 2);
}

TEST_F(RecordTest, LabelsAreTheExpertsWhoeverDrives) {
  const Controller idle = [](const Image&, std::string_view, const WorldState&) {
    return ActionVector{0, 0, 0.01, 0, 0, 0, 0};
  };
  RecordOptions options{.out = dir_ / "dagger.hdf5", .episodes = 2, .seed = 2, .image_size = 16, .max_steps = 12};
  options.policy = idle;
  options.policy_share = 1;
  const RecordSummary summary = Record(options);
  EXPECT_EQ(summary.kept, 2) << "failures are kept";
  EXPECT_EQ(summary.successes, 0);
  const DemonstrationFile file(options.out);
  const Situation situation = DrawSituation(2, 0);
  Simulator simulator(situation.scene);
  const std::vector<double>& actions = file.Actions(0);
  for (size_t step = 0; step < 12; ++step) {
    EXPECT_EQ(actions[step * kActionSize], ExpertAction(situation.scene, situation.task, simulator.state())[0]);
    simulator.Step(idle({}, "", {}));
  }
}

TEST_F(RecordTest, LabelsAreWhatTheExpertWantedNotWhatWasExecuted) {
  const RecordOptions options{.out = dir_ / "demos.hdf5", .episodes = 2, .seed = 2, .image_size = 16};
  EXPECT_EQ(options.noise, 0.3) << "unless told otherwise there are recoveries";
  ASSERT_EQ(Record(options).kept, 2);
  const DemonstrationFile file(options.out);
  int64_t disturbed = 0;
  for (int64_t demo = 0; demo < 2; ++demo) {
    const auto index = static_cast<uint64_t>(demo);
    const Situation situation = DrawSituation(options.seed, index);
    Simulator simulator(situation.scene);
    const std::vector<double>& labels = file.Actions(demo);
    for (int64_t step = 0; step < file.demonstrations()[index].steps; ++step) {
      const ActionVector wanted = ExpertAction(situation.scene, situation.task, simulator.state());
      const double* label = &labels[static_cast<size_t>(step) * kActionSize];
      EXPECT_TRUE(std::equal(label, label + 6, wanted.begin())) << "demonstration " << demo << ", step " << step;
      EXPECT_EQ(label[6], wanted[6] == 1 ? -1 : 1);
      const ActionVector executed = Disturb(wanted, options.noise, options.seed, index, step);
      disturbed += static_cast<int64_t>(executed != wanted);
      simulator.Step(executed);
    }
    EXPECT_TRUE(Succeeded(situation.scene, situation.task, simulator.state())) << "it happened so";
  }
  EXPECT_GE(disturbed, 3);
}

TEST_F(RecordTest, TheSameSeedGivesTheSameNumbersAlsoWithNoise) {
  const auto record = [&](const char* name) {
    const RecordOptions options{.out = dir_ / name, .episodes = 2, .seed = 9, .image_size = 16, .noise = 0.5};
    Record(options);
    const DemonstrationFile file(options.out);
    std::vector<double> all = file.Actions(0);
    const std::vector<double>& more = file.Actions(1);
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  EXPECT_EQ(record("a.hdf5"), record("b.hdf5"));
}

TEST_F(RecordTest, OptionsThatAreNoneAreErrors) {
  const auto error = [&](const std::function<void(RecordOptions&)>& spoil) {
    RecordOptions options{.out = dir_ / "x.hdf5"};
    spoil(options);
    return ErrorOf([&] { Record(options); });
  };
  EXPECT_THAT(error([](RecordOptions& o) { o.out.clear(); }), HasSubstr("out is missing"));
  EXPECT_EQ(error([](RecordOptions& o) { o.episodes = 0; }), "episodes is 0; expected at least 1");
  EXPECT_EQ(error([](RecordOptions& o) { o.max_steps = 0; }), "max_steps is 0; expected 1 to 80");
  EXPECT_EQ(error([](RecordOptions& o) { o.max_steps = 81; }), "max_steps is 81; expected 1 to 80");
  EXPECT_EQ(error([](RecordOptions& o) { o.noise = 2; }), "noise is 2; expected 0 to 1");
  EXPECT_EQ(error([](RecordOptions& o) { o.policy_share = -1; }), "policy_share is -1; expected 0 to 1");
  EXPECT_EQ(error([](RecordOptions& o) { o.image_size = 4; }), "image_size is 4; expected 16 to 1024");
  EXPECT_THAT(error([](RecordOptions& o) {
                o.max_steps = 1;
                o.episodes = 2;
                o.layout.tasks = {TaskKind::kPlace};
              }),
              HasSubstr("no episode was kept of the 2"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "x.hdf5"));
}

TEST_F(RecordTest, WhatCannotBeWrittenIsToldBeforeTheFirstEpisode) {
  const auto error = [&](const std::function<void(RecordOptions&)>& spoil) {
    RecordOptions options{.out = dir_ / "x.hdf5", .episodes = 1};
    options.on_episode = [](int64_t, int64_t) { ADD_FAILURE() << "an episode was run"; };
    spoil(options);
    std::string message = ErrorOf([&] { Record(options); });
    EXPECT_TRUE(std::filesystem::is_empty(dir_)) << message << ": something is left behind";
    return message;
  };
  const std::filesystem::path lost = dir_ / "no" / "folder" / "lines.jsonl";
  EXPECT_THAT(error([&](RecordOptions& o) { o.questions = lost; }), HasSubstr("lines.jsonl: cannot be created"));
  EXPECT_THAT(error([&](RecordOptions& o) { o.descriptions = lost; }), HasSubstr("lines.jsonl: cannot be created"));
  EXPECT_THAT(error([&](RecordOptions& o) {
                o.out = lost;
                o.questions = dir_ / "q.jsonl";
              }),
              HasSubstr("lines.jsonl: cannot be created"));
  EXPECT_THAT(error([&](RecordOptions& o) { o.questions = dir_; }), HasSubstr("is a folder; expected a file"));
  EXPECT_THAT(error([&](RecordOptions& o) { o.out = dir_; }), HasSubstr("is a folder; expected a file"));
  EXPECT_THAT(error([&](RecordOptions& o) { o.questions = dir_ / "." / "x.hdf5"; }),
              HasSubstr("x.hdf5, the file of the demonstrations"));
  EXPECT_THAT(error([&](RecordOptions& o) { o.questions = o.descriptions = dir_ / "q.jsonl"; }),
              HasSubstr("q.jsonl, the file of the questions"));
}

ControllerFactory Expert() {
  return [](const Situation& situation, int64_t) { return ExpertController(situation.scene, situation.task); };
}

TEST(Evaluation, CountsByTaskAndHasAFingerprint) {
  EvaluationOptions options{.episodes = 5, .seed = 3, .images = false};
  const Evaluation a = Evaluate(Expert(), options), b = Evaluate(Expert(), options);
  EXPECT_EQ(a.successes, 5);
  ASSERT_EQ(a.by_task.size(), kTasks.size());
  for (const TaskScore& task : a.by_task) EXPECT_EQ(task.episodes, 1);
  EXPECT_EQ(a.actions_fingerprint, b.actions_fingerprint);
  EXPECT_EQ(static_cast<int64_t>(a.seconds.size()), a.steps);
  options.seed = 4;
  EXPECT_NE(Evaluate(Expert(), options).actions_fingerprint, a.actions_fingerprint);
  EXPECT_EQ(ErrorOf([&] { Evaluate(Expert(), {.episodes = -1}); }), "episodes is -1; expected at least 1");
}

TEST(Evaluation, ControlsTakeTheImageOrTheInstructionAway) {
  std::vector<std::string> told;
  bool grey = true;
  const ControllerFactory watcher = [&](const Situation&, int64_t) -> Controller {
    return [&](const Image& image, std::string_view instruction, const WorldState&) {
      told.emplace_back(instruction);
      grey &= std::all_of(image.pixels.begin(), image.pixels.end(), [](uint8_t v) { return v == 128; });
      return ActionVector{};
    };
  };
  EvaluationOptions options{.episodes = 3, .seed = 6, .max_steps = 1, .image_size = 16, .blank_image = true};
  Evaluate(watcher, options);
  EXPECT_TRUE(grey);
  EXPECT_THAT(told, ElementsAre(DrawSituation(6, 0).instruction, DrawSituation(6, 1).instruction,
                                DrawSituation(6, 2).instruction));
  told.clear();
  options.blank_image = false;
  options.shuffle_instructions = true;
  Evaluate(watcher, options);
  EXPECT_FALSE(grey);
  for (uint64_t i = 0; i < 3; ++i) EXPECT_NE(told[i], DrawSituation(6, i).instruction);
}

TEST(Evaluation, AnotherInstructionIsNotAnotherWayToSayTheSame) {
  EvaluationOptions options{.episodes = 40, .seed = 6, .max_steps = 1, .images = false, .shuffle_instructions = true};
  options.layout = {.tasks = {TaskKind::kReach}, .partial_names = 1};  // "go to the ball", "move to the ball"
  const auto told = [&](int64_t index) {
    std::string text;
    const ControllerFactory listener = [&](const Situation&, int64_t) -> Controller {
      return [&](const Image&, std::string_view instruction, const WorldState&) {
        text = instruction;
        return ActionVector{};
      };
    };
    Renderers none(options);
    EvaluateEpisode(index, listener, options, none);
    return text;
  };
  int64_t same = 0;  // as the next episode that says it otherwise asks for
  for (int64_t i = 0; i < options.episodes; ++i) {
    const Situation situation = DrawSituation(6, static_cast<uint64_t>(i), options.layout);
    EXPECT_NE(FindTask(situation.scene, told(i)), situation.task) << situation.instruction << ": " << told(i);
    const std::string next = DrawSituation(6, static_cast<uint64_t>(i) + 1, options.layout).instruction;
    same += static_cast<int64_t>(next != situation.instruction && FindTask(situation.scene, next) == situation.task);
  }
  EXPECT_GE(same, 3) << "there has to be something to skip";
}

TEST(Evaluation, JerkIsTheThirdDerivativeOfTheCommandedMotion) {
  const auto mover = [](std::vector<double> dx) -> ControllerFactory {
    return [dx](const Situation&, int64_t) -> Controller {
      return [dx, step = size_t{0}](const Image&, std::string_view, const WorldState&) mutable {
        return ActionVector{dx[step++ % dx.size()], 0, 0.03, 0, 0, 0, 1};
      };
    };
  };
  const EvaluationOptions options{.episodes = 2, .seed = 6, .max_steps = 9, .images = false};
  EXPECT_EQ(Evaluate(mover({0.01}), options).jerk, 0);
  // To and fro: every inner step changes the speed by 2 x 0.02 m in 0.2 s twice over, 0.04 / 0.2^3.
  EXPECT_NEAR(Evaluate(mover({0.01, -0.01}), options).jerk, 5, 1e-9);
}

TEST(Evaluation, EpisodesAreShownAndTheirEndIsTold) {
  EvaluationOptions options{.episodes = 1, .seed = 6, .max_steps = 2, .image_size = 16, .frames = true};
  int64_t ends = 0;
  options.on_end = [&](const EvaluatedEpisode& episode, const Simulator& simulator, const Image& image) {
    ++ends;
    ASSERT_EQ(episode.frames.size(), static_cast<size_t>(episode.result.steps) + 1);
    EXPECT_EQ(episode.frames[0].width, kFrameSize);
    EXPECT_EQ(image.pixels, Renderer(16).Render(simulator).pixels);
  };
  Evaluate(Expert(), options);
  EXPECT_EQ(ends, 1);
}

// Physics that fail in the first step after this is set, whoever's they are: MuJoCo asks it before each step.
class BrokenPhysics {
 public:
  BrokenPhysics() {
    mjcb_control = [](const mjModel*, mjData* d) { d->qvel[0] = 1e12; };
  }
  ~BrokenPhysics() { mjcb_control = nullptr; }
  BrokenPhysics(const BrokenPhysics&) = delete;
  BrokenPhysics& operator=(const BrokenPhysics&) = delete;
};

TEST(Evaluation, GoesOnAfterAFaultOfThePhysics) {
  const auto run = [](int64_t broken) {
    EvaluationOptions options{.episodes = 3, .seed = 3, .image_size = 16, .frames = true};
    options.layout.tasks = {TaskKind::kReach};
    int64_t ends = 0;
    options.on_end = [&](const EvaluatedEpisode&, const Simulator&, const Image&) { ++ends; };
    options.on_episode = [&](const EvaluatedEpisode& episode) {
      EXPECT_EQ(episode.result.fault.empty(), episode.index != broken);
      EXPECT_EQ(episode.result.success, episode.index != broken);
      EXPECT_FALSE(episode.frames.empty());
    };
    const ControllerFactory factory = [&](const Situation& situation, int64_t episode) -> Controller {
      return [&, episode, expert = ExpertController(situation.scene, situation.task),
              breaks = std::shared_ptr<BrokenPhysics>()](const Image& image, std::string_view instruction,
                                                         const WorldState& state) mutable {
        if (episode == broken) breaks = std::make_shared<BrokenPhysics>();
        return expert(image, instruction, state);
      };
    };
    const Evaluation evaluation = Evaluate(factory, options);
    EXPECT_EQ(evaluation.episodes, 3);
    EXPECT_EQ(ends, broken < 0 ? 3 : 2);
    EXPECT_EQ(evaluation.successes, broken < 0 ? 3 : 2);
    return evaluation.faults;
  };
  EXPECT_EQ(run(-1), 0);
  EXPECT_EQ(run(1), 1);
}

TEST_F(RecordTest, LeavesOutWhereThePhysicsFailed) {
  RecordOptions options{.out = dir_ / "demos.hdf5", .episodes = 3, .seed = 2, .image_size = 16, .noise = 0};
  options.layout.tasks = {TaskKind::kReach};
  std::optional<BrokenPhysics> breaks;
  options.on_episode = [&](int64_t episodes, int64_t) {
    breaks.reset();
    if (episodes == 1) breaks.emplace();
  };
  options.policy = [](const Image&, std::string_view, const WorldState&) { return ActionVector{}; };
  options.policy_share = 0;
  const RecordSummary summary = Record(options);
  EXPECT_EQ(summary.faults, 1);
  EXPECT_EQ(summary.episodes, 3);
  EXPECT_EQ(summary.kept, 2);
  EXPECT_EQ(summary.successes, 2);
  EXPECT_EQ(DemonstrationFile(options.out).demonstrations().size(), 2U);
}

TEST(Ask, TruthScoresEverythingAndAConstantAnswerNoMoreThanChance) {
  const AskOptions options{.episodes = 25, .seed = 1, .image_size = 16};
  const AskReport truth = Ask([](const Image&, const Question& q) { return " " + q.answer; }, options);
  EXPECT_GT(truth.questions, 90);
  EXPECT_EQ(truth.right, truth.questions);
  EXPECT_GE(truth.by_kind.size(), 6U);
  const AskReport yes = Ask([](const Image&, const Question&) { return "yes"; }, options);
  EXPECT_EQ(yes.questions, truth.questions);
  EXPECT_LE(static_cast<double>(yes.right), yes.chance * static_cast<double>(yes.questions));
  for (const KindScore& kind : yes.by_kind)
    EXPECT_LE(static_cast<double>(kind.right), kind.chance * static_cast<double>(kind.questions) + 1e-9);
}

// The mean over pixels and colours of each frame of a square animation, as giflib reads it.
std::vector<double> GreyOfGif(const std::filesystem::path& path, int side) {
  int fault = 0;
  const std::unique_ptr<GifFileType, void (*)(GifFileType*)> gif(DGifOpenFileName(path.c_str(), &fault),
                                                                 [](GifFileType* g) { DGifCloseFile(g, nullptr); });
  if (gif == nullptr || DGifSlurp(gif.get()) != GIF_OK) return {};
  std::vector<double> means;
  for (const SavedImage& image : std::span(gif->SavedImages, static_cast<size_t>(gif->ImageCount))) {
    EXPECT_EQ(image.ImageDesc.Width, side);
    EXPECT_EQ(image.ImageDesc.Height, side);
    const auto pixels = static_cast<size_t>(side) * static_cast<size_t>(side);
    double sum = 0;
    for (const GifByteType index : std::span(image.RasterBits, pixels)) {
      const GifColorType& color = gif->SColorMap->Colors[index];
      sum += (color.Red + color.Green + color.Blue) / 3.0;
    }
    means.push_back(sum / static_cast<double>(pixels));
  }
  return means;
}

TEST_F(RecordTest, StripsAndAnimationsAreWritten) {
  std::vector<Image> frames(5, Image(24, 24));
  for (size_t i = 0; i < frames.size(); ++i)
    std::fill(frames[i].pixels.begin(), frames[i].pixels.end(), static_cast<uint8_t>(50 * i));
  WriteStrip(dir_ / "strip.png", frames, "push the red cube left", "success after 4 steps", {.columns = 3, .size = 48});
  const Image strip = ReadImage(dir_ / "strip.png");
  EXPECT_EQ(strip.height, 52 + 2 * (48 + 18 + 6));
  for (int64_t i = 0; i < 5; ++i) {  // each frame's middle
    const int64_t x = 6 + i % 3 * (48 + 6) + 24, y = 52 + i / 3 * (48 + 18 + 6) + 24;
    EXPECT_NEAR(strip.pixels[static_cast<size_t>(3 * (y * strip.width + x))], 50 * i, 1) << "frame " << i;
  }
  WriteGif(dir_ / "film.gif", frames);
  EXPECT_THAT(ReadFile(dir_ / "film.gif"), ::testing::StartsWith("GIF89a"));
  const std::vector<double> levels = GreyOfGif(dir_ / "film.gif", 24);
  ASSERT_EQ(levels.size(), 5U);
  for (size_t i = 0; i < 5; ++i) {  // 6 or 7 levels a colour: dithered to a sixteenth of the way to the next
    EXPECT_NEAR(levels[i], 50 * static_cast<double>(i), 51.0 / 16 + 1) << "frame " << i;
  }
  frames.back() = Image(25, 24);
  EXPECT_THAT(ErrorOf([&] { WriteGif(dir_ / "bad.gif", frames); }), HasSubstr("24 x 24 and of 25 x 24"));
  EXPECT_THAT(ErrorOf([&] { WriteGif(dir_ / "bad.gif", {}); }), HasSubstr("no frame"));
  EXPECT_THAT(ErrorOf([&] { WriteStrip(dir_ / "bad.png", {}, "", ""); }), HasSubstr("no frame"));
}

}  // namespace
}  // namespace kinetok::sim
