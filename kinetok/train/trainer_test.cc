#include "kinetok/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <map>

#include "kinetok/io/safetensors.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/train/trainer_test_run.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(TrainerTest, AnyNumberOfThreadsGivesTheSameWeightsAndLog) {
  const TemporaryFolder folder;
  const TinyRun run(folder);
  run.Run(folder / "one", 1);
  for (const int threads : {2, 3}) {
    const fs::path dir = folder / std::to_string(threads);
    run.Run(dir, threads);
    EXPECT_EQ(State(dir), State(folder / "one"));
    EXPECT_EQ(Weights(dir), Weights(folder / "one"));
    EXPECT_EQ(LogLines(dir), LogLines(folder / "one"));
  }
}

TEST(TrainerTest, AccumulationAndRecomputationGiveTheSameWeights) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.Run(folder / "whole");
  run.train().batch_size = 2;
  run.train().gradient_accumulation = 2;
  run.Run(folder / "halves");
  EXPECT_EQ(State(folder / "halves"), State(folder / "whole"));
  run.train().recompute = true;
  run.Run(folder / "recomputed");
  EXPECT_EQ(State(folder / "recomputed"), State(folder / "whole"));
}

TEST(TrainerTest, LearnsARepetitiveText) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.train().max_steps = 150;
  run.train().eval_every = 0;
  run.train().save_every = 0;
  run.job().model.embd_pdrop = run.job().model.attn_pdrop = run.job().model.resid_pdrop = 0;
  const TrainingResult result = run.Run(folder / "out", 2);
  EXPECT_EQ(result.steps, 150);
  ASSERT_TRUE(result.evaluation.has_value());
  EXPECT_LT(result.evaluation->loss, 0.8);  // a uniform guess costs 3.0
  EXPECT_TRUE(fs::exists(folder / "out/loss.png"));
  EXPECT_TRUE(fs::exists(folder / "out/loss.svg"));
}

TEST(TrainerTest, ARunInterruptedAndResumedHasTheBitsOfOneThatWasNot) {
  const TemporaryFolder folder;
  const TinyRun run(folder);
  const TrainingResult whole = run.Run(folder / "whole");
  for (const int64_t step : {1, 3, 5, 11}) {
    const fs::path dir = folder / std::to_string(step);
    StopAfter observer(step);
    const TrainingResult part = run.Run(dir, 2, &observer, &observer.stop);
    EXPECT_TRUE(part.interrupted);
    EXPECT_EQ(part.steps, step);
    const TrainingResult rest = run.Run(dir, 1);
    EXPECT_FALSE(rest.interrupted);
    EXPECT_EQ(State(dir), State(folder / "whole"));
    EXPECT_EQ(Weights(dir), Weights(folder / "whole"));
    EXPECT_EQ(LogLines(dir), LogLines(folder / "whole"));
    EXPECT_EQ(rest.evaluation, whole.evaluation);
  }
}

TEST(TrainerTest, ACompleteRunStartedAgainTrainsNothingAndGivesTheSameResult) {
  const TemporaryFolder folder;
  const TinyRun run(folder);
  const TrainingResult first = run.Run(folder / "out");
  const std::string state = State(folder / "out");
  fs::remove(folder / "out/model.safetensors");  // as if killed between the state and the weights for others
  const TrainingResult second = run.Run(folder / "out");
  EXPECT_EQ(second.steps, 12);
  EXPECT_EQ(second.train_loss, first.train_loss);
  EXPECT_EQ(second.evaluation, first.evaluation);
  EXPECT_EQ(State(folder / "out"), state);
  EXPECT_TRUE(fs::exists(folder / "out/model.safetensors"));
}

TEST(TrainerTest, TheDirectoryLoadsAsAModelWithTheTrainedWeights) {
  const TemporaryFolder folder;
  const TinyRun run(folder);
  Context context(1, BestIsa());
  RunDirectory directory(folder / "out", false);
  TinyRun copy(folder);
  Trainer trainer(context, directory, copy.Job());
  TrainingObserver silent;
  trainer.Run(silent);
  const ModelConfig config = LoadDirectoryConfig(folder / "out");
  const ParameterList list(config);
  std::vector<float> loaded(static_cast<size_t>(list.elements));
  LoadParameters(folder / "out", config, list, loaded);
  EXPECT_TRUE(std::equal(loaded.begin(), loaded.end(), trainer.weights().begin(), trainer.weights().end()));
}

// Every file of a folder, by its path in it.
std::map<std::string, std::string> Files(const fs::path& dir) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (entry.is_regular_file()) files[fs::relative(entry.path(), dir).string()] = ReadFile(entry.path());
  }
  return files;
}

TEST(TrainerTest, ARestartThatCannotBeginLeavesTheOldRunAsItWas) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  StopAfter observer(5);
  run.Run(folder / "out", 1, &observer, &observer.stop);
  const auto before = Files(folder / "out");
  const auto restart = [&] { run.Run(folder / "out", 1, nullptr, nullptr, /*restart=*/true); };

  TinyRun other(folder);
  run.train().block_size = 25;
  EXPECT_THAT(ErrorOf(restart), HasSubstr("block_size is 25"));
  run.train().block_size = 20;
  run.split().train.size = 3;
  EXPECT_THAT(ErrorOf(restart), HasSubstr("training data"));
  run.split() = other.split();
  run.job().model.hidden_size = 1 << 20;
  run.job().model.head_dim = 256;
  run.job().model.intermediate_size = 1 << 20;
  run.job().model.num_attention_heads = run.job().model.num_key_value_heads = 4096;
  EXPECT_THAT(ErrorOf(restart), HasSubstr("this training run needs"));
  EXPECT_EQ(Files(folder / "out"), before);

  other.Run(folder / "out");
  other.Run(folder / "whole");
  EXPECT_EQ(State(folder / "out"), State(folder / "whole"));
}

TEST(TrainerTest, ARestartRemovesThePreviousRunWhenItBegins) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.Run(folder / "out");
  folder.Write("out/data/train.tokens", "old");
  {
    RunDirectory directory(folder / "out", /*restart=*/true);
    EXPECT_EQ(directory.SavedStep(), std::nullopt);
    EXPECT_TRUE(directory.SavedConfig().is_null());
    folder.Write("out/data/validation.tokens.next", "stale");
    WriteFileAtomically(directory.Stage("data/train.tokens"), "new");
    EXPECT_TRUE(fs::exists(folder / "out/trainer_state.safetensors"));
    directory.Begin({{"seed", 1}});
    EXPECT_THAT(Files(folder / "out"),
                ::testing::UnorderedElementsAre(::testing::Pair("lock", ""),
                                                ::testing::Pair("train_config.json", "{\n  \"seed\": 1\n}\n"),
                                                ::testing::Pair("data/train.tokens", "new")));
  }
  EXPECT_EQ(RunDirectory(folder / "out", false).SavedStep(), std::nullopt);
}

TEST(TrainerTest, LeftoversOfAKilledProcessAreRemovedInTheDataToo) {
  const TemporaryFolder folder;
  folder.Write("out/model.safetensors.tmp123", "half");
  folder.Write("out/data/train.tokens.tmp77", "half");
  folder.Write("out/data/mine.tmp", "kept");
  const RunDirectory directory(folder / "out", false);
  EXPECT_THAT(Files(folder / "out"),
              ::testing::UnorderedElementsAre(::testing::Key("lock"), ::testing::Key("data/mine.tmp")));
}

TEST(TrainerTest, ADirectoryThatCannotBeWrittenIsNotCalledInUse) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "out/lock");  // cannot be opened as a file, by anybody
  EXPECT_THAT(ErrorOf([&] { RunDirectory(folder / "out", false); }),
              AllOf(HasSubstr("out: cannot be written: "), HasSubstr("lock: "), ::testing::Not(HasSubstr("in use"))));
  folder.Write("file", "");
  EXPECT_THAT(ErrorOf([&] { RunDirectory(folder / "file/out", false); }), HasSubstr("out: cannot be created: "));
}

TEST(TrainerTest, ALogIsCutAtALineThatAPowerCutDestroyed) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.Run(folder / "whole");
  for (const std::string& damage : {std::string("{\"step\":6,\"lo\n"), std::string(40, '\0') + "\n", std::string("7\n"),
                                    std::string("{\"step\":\"six\"}\n")}) {
    StopAfter observer(5);
    run.Run(folder / "cut", 1, &observer, &observer.stop, /*restart=*/true);
    const std::string log = ReadFile(folder / "cut/log.jsonl");
    WriteFileAtomically(folder / "cut/log.jsonl", log + damage + "{\"step\": 2, \"loss\": 0}\n");
    run.Run(folder / "cut");
    EXPECT_EQ(LogLines(folder / "cut"), LogLines(folder / "whole"));
  }
}

// Tells what is saved when a sample is made, and fails at a step.
class Sampler : public TrainingObserver {
 public:
  Sampler(fs::path dir, int64_t fail_at) : dir_(std::move(dir)), fail_at_(fail_at) {}
  std::string Sample(int64_t step, std::span<const float>) override {
    if (step == fail_at_) Fail("no sample");
    const bool saved = fs::exists(dir_ / "trainer_state.safetensors");
    const int64_t saved_step = saved ? ReadMetadataStep() : -1;
    return fmt::format("step {}, saved {}", step, saved_step);
  }

 private:
  int64_t ReadMetadataStep() const {
    return std::stoll(SafetensorsFile(dir_ / "trainer_state.safetensors").metadata().at("step"));
  }
  fs::path dir_;
  int64_t fail_at_;
};

TEST(TrainerTest, ACheckpointIsWrittenBeforeASampleOfTheSameStepAndTheSampleIsMadeUpFor) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.train().save_every = 4;
  run.train().sample_every = 2;
  Sampler sampler(folder / "whole", -1);
  run.Run(folder / "whole", 1, &sampler);
  const std::vector<std::string> lines = LogLines(folder / "whole");
  for (const char* expected : {"step 4, saved 4", "step 6, saved 4", "step 12, saved 12"}) {
    EXPECT_THAT(lines, ::testing::Contains(HasSubstr(expected)));
  }
  Sampler failing(folder / "out", 8);
  EXPECT_THAT(ErrorOf([&] { run.Run(folder / "out", 1, &failing); }), HasSubstr("no sample"));
  EXPECT_EQ(RunDirectory(folder / "out", false).SavedStep(), 8);
  Sampler again(folder / "out", -1);
  run.Run(folder / "out", 1, &again);
  EXPECT_EQ(LogLines(folder / "out"), lines);
  EXPECT_EQ(State(folder / "out"), State(folder / "whole"));
}

TEST(TrainerTest, AChangedFieldIsNamedAndRestartStartsOver) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.Run(folder / "out");
  run.train().learning_rate = 5e-3;
  EXPECT_THAT(ErrorOf([&] { run.Run(folder / "out"); }),
              AllOf(HasSubstr("train_config.json: learning-rate is 0.01 in this run, now it is 0.005"),
                    HasSubstr("--restart")));
  run.train().learning_rate = 1e-2;
  run.job().model.hidden_size = 64;
  run.job().model.head_dim = 32;
  EXPECT_THAT(ErrorOf([&] { run.Run(folder / "out"); }),
              HasSubstr("train_config.json: model-config.n_embd is 32 in this run, now it is 64"));
  EXPECT_EQ(run.Run(folder / "out", 1, nullptr, nullptr, /*restart=*/true).steps, 12);
  run.train().max_steps = 14;  // free, as are the intervals
  run.train().save_every = 5;
  EXPECT_EQ(run.Run(folder / "out").steps, 14);
}

// Lets files grow no further than `bytes` while it lives, as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit old_{};
  void (*old_handler_)(int) = SIG_DFL;
};

TEST(TrainerTest, AFullDiskIsAnErrorAndTheOldCheckpointSurvives) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.Run(folder / "whole");
  for (const rlim_t bytes : {5000, 100000}) {  // room for the log; then for the weights but not for the state
    const fs::path dir = folder / std::to_string(bytes);
    StopAfter observer(5);
    run.Run(dir, 1, &observer, &observer.stop);
    const std::string state = State(dir), weights = Weights(dir);
    ASSERT_GT(state.size(), 100000u);
    {
      const FullDisk full(bytes);
      EXPECT_THAT(ErrorOf([&] { run.Run(dir); }), AllOf(HasSubstr(".safetensors"), HasSubstr("cannot be written")));
    }
    EXPECT_EQ(State(dir), state);
    EXPECT_EQ(Weights(dir), weights);
    for (const auto& entry : fs::directory_iterator(dir)) {
      EXPECT_THAT(entry.path().filename().string(), ::testing::Not(HasSubstr(".tmp")));
    }
    run.Run(dir);
    EXPECT_EQ(State(dir), State(folder / "whole"));
  }
}

TEST(TrainerTest, ASecondTrainerInTheSameDirectoryIsAnError) {
  const TemporaryFolder folder;
  const RunDirectory first(folder / "out", false);
  EXPECT_THAT(ErrorOf([&] { RunDirectory(folder / "out", false); }),
              AllOf(HasSubstr("out is in use"), HasSubstr("another process")));
  EXPECT_THAT(ErrorOf([&] { RunDirectory(folder / "out", true); }), HasSubstr("is in use"));
}

TEST(TrainerTest, ADirectoryWithAModelThatIsNoRunIsNotOverwritten) {
  const TemporaryFolder folder;
  folder.Write("out/model.safetensors", "precious");
  EXPECT_THAT(ErrorOf([&] { RunDirectory(folder / "out", false); }), HasSubstr("holds a model that is not a training"));
  EXPECT_EQ(ReadFile(folder / "out/model.safetensors"), "precious");
}

TEST(TrainerTest, DataShorterThanABlockIsAnError) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.split().train.size = 20;
  EXPECT_THAT(ErrorOf([&] { run.Run(folder / "out"); }),
              HasSubstr("training data: has 20 tokens, a block of 20 (block-size) needs at least 21"));
}

TEST(TrainerTest, IdsOutsideTheVocabularyAndBlocksBeyondTheContextAreErrors) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.train().block_size = 25;
  EXPECT_THAT(ErrorOf([&] { run.Run(folder / "out"); }), HasSubstr("block_size is 25; it must be at most 24"));
  run.train().block_size = 20;
  run.job().model.vocab_size = 5;
  EXPECT_THAT(ErrorOf([&] { run.Run(folder / "out"); }), HasSubstr("vocab_size is 5; it must be at least"));
  run.job().tokenizer = nullptr;
  EXPECT_THAT(ErrorOf([&] { run.Run(folder / "out"); }), HasSubstr("expected one in [0, 5)"));
}

TEST(TrainerTest, ALossThatIsNotFiniteStopsTheRunAndKeepsTheLastCheckpoint) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.train().schedule = "constant";
  run.train().learning_rate = 1e30;
  run.train().min_learning_rate = 0;
  run.train().warmup_steps = 0;
  run.train().save_every = 1;
  run.train().eval_every = 0;
  EXPECT_THAT(ErrorOf([&] { run.Run(folder / "out"); }),
              AllOf(HasSubstr("step 2: the "), HasSubstr("the checkpoint of step 1"), HasSubstr("learning-rate")));
  EXPECT_EQ(RunDirectory(folder / "out", false).SavedStep(), 1);
}

TEST(TrainerTest, EveryOptionOutOfRangeIsNamed) {
  const auto error = [](auto change) {
    TrainConfig config;
    change(config);
    return ErrorOf([&] { config.Check(); });
  };
  EXPECT_THAT(error([](TrainConfig& c) { c.batch_size = 0; }), HasSubstr("batch_size is 0; it must be from 1"));
  EXPECT_THAT(error([](TrainConfig& c) { c.learning_rate = NAN; }), HasSubstr("learning_rate is nan"));
  EXPECT_THAT(error([](TrainConfig& c) { c.min_learning_rate = 1; }), HasSubstr("min_learning_rate is 1"));
  EXPECT_THAT(error([](TrainConfig& c) { c.optimizer.beta2 = 1; }), HasSubstr("beta2 is 1"));
  EXPECT_THAT(error([](TrainConfig& c) { c.seed = uint64_t{1} << 63; }),
              HasSubstr("seed is 9223372036854775808; it must be from 0 to 9223372036854775807"));
  EXPECT_THAT(error([](TrainConfig& c) { c.batch_size = c.gradient_accumulation = c.block_size = 1 << 20; }),
              HasSubstr("batch_size is 1048576; with gradient-accumulation 1048576"));
  EXPECT_THAT(error([](TrainConfig& c) { c.schedule = "exp"; }), HasSubstr("schedule is \"exp\""));
}

TEST(TrainConfigTest, SurvivesItsJsonAndNamesWrongFields) {
  TrainConfig config = TrainPreset("gpt2-124m");
  config.seed = 42;
  config.recompute = true;
  TrainConfig read;
  ReadTrainConfig(TrainConfigToJson(config), "here", &read);
  EXPECT_EQ(TrainConfigToJson(read), TrainConfigToJson(config));
  EXPECT_THAT(ErrorOf([&] {
                ReadTrainConfig(Json{{"batch-size", "many"}}, "run.json", &read);
              }),
              AllOf(HasSubstr("run.json"), HasSubstr("batch-size")));
}

}  // namespace
}  // namespace kinetok
