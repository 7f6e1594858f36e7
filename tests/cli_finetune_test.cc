// kinetok finetune as a user runs it: demonstrations, questions and text in, a policy or an adapter out.
#include <fmt/format.h>

#include <cmath>

#include "kinetok/io/demonstrations.h"
#include "kinetok/model/checkpoint.h"
#include "tests/cli_test_support.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

// A policy of random weights, "vla", and demonstrations, "demos.hdf5": where the bright square is, there it goes.
class CliFinetuneTest : public CliTest {
 protected:
  static void SetUpTestSuite() {
    CliTest::SetUpTestSuite();
    BytesBpeTrainer trainer({.vocab_size = 257});
    trainer.Add("a");
    const auto tokenizer = trainer.Train();
    tokenizer->Save(dir_ / "bytes");
    WriteFileAtomically(dir_ / "vla.json", R"({
      "model_type": "openvla", "arch_specifier": "no-align+gelu-mlp", "use_fused_vision_backbone": false,
      "timm_model_ids": ["vit_tiny_patch4"], "image_sizes": [16], "pad_to_multiple_of": 64,
      "kinetok_vision": {"featurizer": {"patch_size": 4, "embed_dim": 32, "depth": 2, "feature_block": 1,
                                        "num_heads": 2, "mlp_hidden_dim": 64}},
      "kinetok_vla": {"separator_token_id": 33},
      "text_config": {"model_type": "llama", "vocab_size": 577, "hidden_size": 32, "num_hidden_layers": 2,
                      "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 64,
                      "max_position_embeddings": 128, "tie_word_embeddings": true, "bos_token_id": 0,
                      "eos_token_id": 0}})");
    const Result r = Run("init --model-config vla.json --out vla --seed 3");
    ASSERT_EQ(r.status, 0) << r.err;
    tokenizer->Save(dir_ / "vla");
    if (!HasHdf5()) return;
    WriteDemonstrations("demos.hdf5", 20);
    std::string questions;
    for (int d = 0; d < 20; ++d) {
      for (int step = 0; step < 4; ++step) {
        questions += fmt::format(R"({{"image": "demos.hdf5:demo_{}:{}", "prompt": "where?", "completion": " {}"}})"
                                 "\n",
                                 d, step, (d + step) % 4);
      }
    }
    WriteFileAtomically(dir_ / "questions.jsonl", questions);
    std::string text;
    for (int i = 0; i < 200; ++i) text += "some plain text to keep. ";
    WriteFileAtomically(dir_ / "text.txt", text);
  }
  void SetUp() override {
    if (!HasHdf5()) GTEST_SKIP() << "built without HDF5";
  }
  // Each demonstration has pictures of its own, so that the last ones, which are held out, are new to a policy.
  static void WriteDemonstrations(const std::string& name, int count, uint8_t mask = 0,
                                  std::string_view camera = kDefaultCamera) {
    DemonstrationWriter writer(dir_ / name, {{"image_rotation", 0}}, camera);
    for (int d = 0; d < count; ++d) {
      Demonstration demo{.instruction = "go", .images = {}, .actions = {}, .states = {}};
      for (int step = 0; step < 4; ++step) {
        const int column = (d + step) % 4;
        Image image(16, 16);
        for (int y = 4; y < 12; ++y) {
          for (int x = 0; x < 4; ++x) image.row(y)[3 * (4 * column + x)] = static_cast<uint8_t>(230 + d);
        }
        for (uint8_t& value : image.pixels) value ^= mask;
        demo.images.push_back(std::move(image));
        demo.actions.insert(demo.actions.end(), {column / 10.0, -column / 10.0, 0, 0, 0, 0, column > 1 ? 1.0 : -1.0});
      }
      writer.Add(demo);
    }
    writer.Finish();
  }
  // A copy of "vla" that has learned nothing and whose actions mean something.
  static void WriteActing(const std::string& name) {
    std::filesystem::copy(dir_ / "vla", dir_ / name);
    const std::vector<double> low(7, -1), high(7, 1);
    const Json statistics = {{"base", {{"action", {{"q01", low}, {"q99", high}}}}}};
    WriteFileAtomically(dir_ / name / "dataset_statistics.json", statistics.dump());
  }
  static Json RunJson(const std::string& arguments) {
    const Result r = Run(arguments + " --json");
    EXPECT_EQ(r.status, 0) << arguments << "\n" << r.err;
    return r.status == 0 ? Json::parse(r.out) : Json::object();
  }
  static constexpr const char* kRun =
      " --batch-size 8 --learning-rate 2e-3 --schedule cosine --warmup-steps 10 --eval-every 0 --save-every 0 "
      "--threads 2";
};

TEST_F(CliFinetuneTest, APolicyLearnsItsDemonstrationsAndAnswersAboutItsImages) {
  const Json trained =
      RunJson(std::string("finetune --model vla --data demos.hdf5 questions.jsonl text.txt --data-weights "
                          "demonstrations=6 --data-weights completions=3 --data-weights text=1 --block-size 32 "
                          "--dataset-name toy --out policy --max-steps 900") +
              kRun);
  EXPECT_GT(trained["action_token_accuracy"], 0.98);
  EXPECT_LT(trained["action_l1"], 0.05);
  const Json statistics = Json::parse(ReadFile(dir_ / "policy/dataset_statistics.json"));
  EXPECT_EQ(statistics["toy"]["num_trajectories"], 18);  // of 20, two are held out
  EXPECT_NEAR(statistics["toy"]["action"]["max"][0].get<double>(), 0.3, 1e-12);

  const DemonstrationFile demos(dir_ / "demos.hdf5");
  for (int step = 0; step < 4; ++step) {
    WritePng(dir_ / "seen.png", demos.ReadImage(19, step).view());
    const int column = (19 + step) % 4;
    const Json action = RunJson("act --model policy --image seen.png --instruction go");
    EXPECT_EQ(action["unnorm_key"], "toy");
    EXPECT_NEAR(action["action"][0].get<double>(), column / 10.0, 0.02);
    EXPECT_NEAR(action["action"][1].get<double>(), -column / 10.0, 0.02);
    EXPECT_EQ(action["action"][6].get<double>() > 0.5, column <= 1);  // -1 in the file is open, 1 here
    const Json answer =
        RunJson("generate --model policy --image seen.png --prompt 'where?' --greedy --max-new-tokens 5");
    EXPECT_EQ(answer["text"], fmt::format(" {}", column));
    EXPECT_EQ(answer["finish_reason"], "eos");
  }
  const Json scored = RunJson("eval --model policy --data demos.hdf5");
  EXPECT_GT(scored["action_token_accuracy"], 0.98);
  EXPECT_LT(scored["action_l1"], 0.05);
  EXPECT_EQ(scored["steps"], 80);
  EXPECT_GT(scored["varying_token_accuracy"], 0.95);
  EXPECT_LT(scored["varying_token_accuracy"], scored["action_token_accuracy"].get<double>() + 1e-12);
  ASSERT_EQ(scored["accuracy_by_dimension"].size(), 7u);
  EXPECT_EQ(scored["accuracy_by_dimension"][3], 1);  // roll never moves
}

TEST_F(CliFinetuneTest, EveryEvaluationLogsWhatTheActionsAreWorthAndSaysIt) {
  const Result r =
      Run("finetune --model vla --data demos.hdf5 --out watched --max-steps 6 --batch-size 4 --eval-every 2");
  ASSERT_EQ(r.status, 0) << r.err;
  const std::string log = ReadFile(dir_ / "watched/log.jsonl");
  std::vector<int> steps;
  for (size_t at = 0; at < log.size(); at = log.find('\n', at) + 1) {
    const Json line = Json::parse(log.substr(at, log.find('\n', at) - at));
    if (!line.contains("val_loss")) continue;
    const int step = line["step"];
    steps.push_back(step);
    const double accuracy = line.at("action_token_accuracy"), varying = line.at("varying_token_accuracy"),
                 l1 = line.at("action_l1");
    EXPECT_TRUE(accuracy >= 0 && accuracy <= 1 && varying >= 0 && varying <= 1) << line;
    EXPECT_TRUE(l1 > 0 && l1 <= 2) << line;  // after so few steps something is still wrong
    EXPECT_THAT(r.err, HasSubstr(fmt::format("step {}: validation loss {:.4f}, action tokens {:.1f}% right ({:.1f}% of "
                                             "those that vary), L1 {:.4f}\n",
                                             step, line["val_loss"].get<double>(), 100 * accuracy, 100 * varying, l1)));
  }
  EXPECT_EQ(steps, (std::vector<int>{2, 4, 6}));
}

TEST_F(CliFinetuneTest, AnInterruptedRunResumesToTheSameBitsWithOtherThreads) {
  for (const std::string how : {"", " --lora-rank 4"}) {
    const std::string run = "finetune --model vla --data demos.hdf5 questions.jsonl --image-augmentation openvla" +
                            how + " --batch-size 8 --learning-rate 1e-3 --eval-every 0 --save-every 0 --restart";
    const std::string again = run.substr(0, run.find(" --restart"));
    WriteFileAtomically(dir_ / "interrupt.sh",
                        "'" KINETOK_PROGRAM "' " + run +
                            " --max-steps 100000000 --threads 2 --out parts --json >result 2>notes &\n"
                            "while [ ! -s parts/log.jsonl ] && kill -0 $!; do sleep 0.02; done\n"
                            "sleep 0.05; kill -INT $!; wait $!; echo $? >status\n");
    std::filesystem::remove_all(dir_ / "parts");
    ASSERT_EQ(std::system(("cd '" + dir_.string() + "' && sh interrupt.sh").c_str()), 0);
    ASSERT_EQ(ReadFile(dir_ / "status"), "130\n") << ReadFile(dir_ / "notes");
    const auto steps = Json::parse(ReadFile(dir_ / "result"))["steps"].get<int64_t>();
    ASSERT_GE(steps, 1);
    const std::string rest = fmt::format(" --max-steps {} --threads ", steps + 3);
    const Result resumed = Run(again + rest + "1 --out parts");
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr(fmt::format("resuming parts at step {} of", steps)));
    RunJson(run + rest + "3 --out whole");
    const char* weights = how.empty() ? "model.safetensors" : "adapter_model.safetensors";
    for (const char* file : {weights, "trainer_state.safetensors"}) {
      EXPECT_EQ(ReadFile(dir_ / "whole" / file), ReadFile(dir_ / "parts" / file)) << how << file;
    }
  }
}

TEST_F(CliFinetuneTest, OtherDataAnotherBaseOrAnotherCameraIsAnotherRun) {
  const std::string rest = " --max-steps 2 --batch-size 4 --eval-every 0 --lora-rank 2 --out same";
  const auto expect_refused = [&](const std::string& how, const std::string& message) {
    const std::string before = ReadFile(dir_ / "same/adapter_config.json");
    ExpectError("finetune" + how + rest, 1, message);
    EXPECT_EQ(ReadFile(dir_ / "same/adapter_config.json"), before);
  };
  WriteDemonstrations("d.hdf5", 10);
  RunJson("finetune --model vla --data d.hdf5" + rest);
  expect_refused(" --model vla --data d.hdf5 questions.jsonl", "train-data is ");
  ASSERT_EQ(Run("init --model-config vla.json --out vla4 --seed 4").status, 0);
  std::filesystem::copy_file(dir_ / "vla/tokenizer.json", dir_ / "vla4/tokenizer.json");
  expect_refused(" --model vla4 --data d.hdf5", "model-weights is ");
  expect_refused(" --model vla --data d.hdf5 --dataset-name other", "dataset-name is \"d\" in this run, now it is");
  WriteDemonstrations("d.hdf5", 10, 0xFF);
  expect_refused(" --model vla --data d.hdf5", "train-data.pictures is ");
  WriteDemonstrations("d.hdf5", 10, 0, "wrist");
  expect_refused(" --model vla --data d.hdf5 --camera wrist",
                 "camera is \"agentview_rgb\" in this run, now it is \"wrist\"");

  // A run of an older program, which wrote none of this down, goes on.
  WriteDemonstrations("d.hdf5", 10);
  OrderedJson config = OrderedJson::parse(ReadFile(dir_ / "same/train_config.json"));
  for (const char* key : {"model-weights", "camera", "dataset-name"}) EXPECT_EQ(config.erase(key), 1u) << key;
  EXPECT_EQ(config["train-data"].erase("pictures"), 1u);
  WriteFileAtomically(dir_ / "same/train_config.json", config.dump());
  EXPECT_THAT(Run("finetune --model vla --data d.hdf5" + rest).err, HasSubstr("resuming same at step 2 of 2"));
}

TEST_F(CliFinetuneTest, APolicyTunedOnQuestionsOrTextAloneStillActs) {
  WriteActing("acting");
  WritePng(dir_ / "seen.png", Image(16, 16).view());
  for (const std::string how : {"questions.jsonl", "text.txt --block-size 32", "questions.jsonl --lora-rank 2"}) {
    RunJson("finetune --model acting --max-steps 2 --batch-size 4 --eval-every 0 --restart --out tuned --data " + how);
    EXPECT_EQ(ReadFile(dir_ / "tuned/dataset_statistics.json"), ReadFile(dir_ / "acting/dataset_statistics.json"));
    const bool adapter = how.find("lora") != std::string::npos;
    const Json action = RunJson("act --image seen.png --instruction go --model " +
                                std::string(adapter ? "acting --adapter tuned" : "tuned"));
    EXPECT_EQ(action["unnorm_key"], "base");
    EXPECT_EQ(action["action"].size(), 7u);
  }
}

TEST_F(CliFinetuneTest, AFewQuestionsBesideThousandsAreASourceAsWell) {
  std::string many;
  for (int i = 0; i < 4000; ++i) many += "{\"prompt\": \"q\", \"completion\": \"a\"}\n";
  WriteFileAtomically(dir_ / "many.jsonl", many);
  WriteFileAtomically(dir_ / "one.jsonl", "{\"prompt\": \"one\", \"completion\": \"b\"}\n");
  const Result r = Run("finetune --model vla --data many.jsonl one.jsonl --out few --max-steps 1 --batch-size 2");
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("data: 3600 completions, 400 held out, 100.0% of the examples\n"
                               "data: 1 completions, 0 held out, 0.028% of the examples\n"
                               "note: --val-fraction 0.1 of so few holds out none"));
}

TEST_F(CliFinetuneTest, SoFewDemonstrationsThatNoneIsHeldOutAreNoted) {
  WriteDemonstrations("nine.hdf5", 9);
  const std::string rest = " --data nine.hdf5 --max-steps 1 --batch-size 2 --restart --out nine";
  const Result r = Run("finetune --model vla" + rest);
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err,
              HasSubstr("0 steps of 0 held out\nnote: --val-fraction 0.1 of so few holds out none, so nothing is "
                        "measured on data like these\n"));
  for (const char* how : {" --val-fraction 0", " --val-fraction 0.2"}) {
    EXPECT_THAT(Run("finetune --model vla" + rest + how).err, ::testing::Not(HasSubstr("note:"))) << how;
  }
}

TEST_F(CliFinetuneTest, TheMemoryThatIsAnnouncedIsWhatTheRunTakes) {
  const Result r = Run(
      "finetune --model vla --data demos.hdf5 --max-steps 1 --batch-size 512 --val-fraction 0 --threads 2 --json --out "
      "memory");
  ASSERT_EQ(r.status, 0) << r.err;
  const auto number = [&](const std::string& before) {
    const size_t at = r.err.find(before);
    EXPECT_NE(at, std::string::npos) << before << "\n" << r.err;
    return at == std::string::npos ? 0 : std::stod(r.err.substr(at + before.size()));
  };
  const double parameters = number("context 128: ") / 1e6, weights = number("memory: weights "),
               gradients = number("gradients "), optimizer = number("optimizer "), activations = number("activations "),
               total = number("in all ");
  EXPECT_NEAR(weights, 4 * parameters, 0.1);
  EXPECT_NEAR(gradients, 4 * parameters, 0.1);
  EXPECT_NEAR(optimizer, 8 * parameters, 0.1);
  EXPECT_NEAR(total, weights + gradients + optimizer + activations, 0.3);
  const double peak = 1e3 * Json::parse(r.out)["peak_rss_gb"].get<double>();  // MB, as the plan's
  RecordProperty("planned_mb", std::to_string(total));
  RecordProperty("peak_mb", std::to_string(peak));
  EXPECT_GT(total, 100);            // much more than a process without a model
#if !defined(__SANITIZE_ADDRESS__)  // which keeps what was freed
  EXPECT_GE(1.1 * total + 100, peak);
#endif
  EXPECT_LE(0.5 * total, peak);
}

TEST_F(CliFinetuneTest, DemonstrationsAreKnownByTheirBeginningAndNoOtherBinaryIsText) {
  std::filesystem::create_directory(dir_ / "kinds");
  for (const char* name : {"kinds/DEMOS.HDF5", "kinds/demos.hdf", "kinds/demos.data"}) {
    std::filesystem::copy_file(dir_ / "demos.hdf5", dir_ / name);
    const Result r =
        Run(std::string("finetune --model vla --max-steps 1 --batch-size 2 --restart --out kind --data ") + name);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_THAT(r.err, HasSubstr("data: 72 steps of 18 demonstrations")) << name;
  }
  WriteFileAtomically(dir_ / "kinds/asks.JSONL", "{\"prompt\": \"q\", \"completion\": \"a\"}\n");
  EXPECT_THAT(Run("finetune --model vla --max-steps 1 --batch-size 2 --out asks --data kinds/asks.JSONL").err,
              HasSubstr("data: 1 completions"));
  WriteFileAtomically(dir_ / "kinds/asks.json", "[]");
  ExpectError("finetune --model vla --out x --data kinds/asks.json", 1, "kinds/asks.json: is JSON; expected .jsonl");
  WriteFileAtomically(dir_ / "kinds/raw.bin", std::string("text\0more", 9));
  ExpectError("finetune --model vla --out x --data kinds/raw.bin", 1, "kinds/raw.bin: has a NUL at byte 4");
  WriteFileAtomically(dir_ / "kinds/empty.hdf5", "");
  ExpectError("finetune --model vla --out x --data kinds/empty.hdf5", 1, "kinds/empty.hdf5");
}

TEST_F(CliFinetuneTest, FlagsOfTheOtherKindOfEvalAreWrongUsage) {
  const std::string demos = "eval --model vla --data demos.hdf5 ", task = "eval --model model --task questions.jsonl ";
  for (const char* flag : {"--limit 1", "--shots 1", "--shots-file questions.jsonl", "--separator x", "--seed 2"}) {
    const std::string name(flag, std::string_view(flag).find(' '));
    ExpectError(demos + flag, 2, name + " has no effect with --data");
  }
  for (const char* flag : {"--demonstrations 1", "--camera front", "--unnorm-key toy", "--actions"}) {
    const std::string name(flag, std::min(std::string_view(flag).find(' '), std::string_view(flag).size()));
    ExpectError(task + flag, 2, name + " has no effect with --task");
  }
  ExpectError(demos + "--demonstrations -1", 2, "--demonstrations is -1; it must be at least 0");
}

TEST_F(CliFinetuneTest, AnAdapterIsTrainedAndChangesTheActionsOfItsModel) {
  const Json trained = RunJson(std::string("finetune --model vla --data demos.hdf5 --lora-rank 8 --lora-alpha 16 --out "
                                           "adapter --max-steps 150 --dataset-name toy") +
                               kRun);
  EXPECT_TRUE(trained.contains("action_token_accuracy"));
  EXPECT_THAT(ReadFile(dir_ / "adapter/adapter_config.json"), HasSubstr("\"peft_type\": \"LORA\""));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "adapter/model.safetensors"));
  // Without statistics of its own the base gives no actions: those of the adapter serve both.
  std::filesystem::copy_file(dir_ / "adapter/dataset_statistics.json", dir_ / "vla/dataset_statistics.json",
                             std::filesystem::copy_options::overwrite_existing);
  const auto actions = [&](const std::string& how) {
    return RunJson("eval --actions --data demos.hdf5 --model " + how)["actions"].get<std::vector<std::vector<int>>>();
  };
  const auto base = actions("vla"), beside = actions("vla --adapter adapter"),
             merged = actions("vla --adapter adapter --merge-adapter");
  ASSERT_EQ(base.size(), 80u);
  int changed = 0, same = 0;
  for (size_t i = 0; i < base.size(); ++i) {
    changed += base[i] != beside[i] ? 1 : 0;
    same += merged[i] == beside[i] ? 1 : 0;
  }
  EXPECT_GE(changed, 40);
  EXPECT_EQ(same, 80);

  // In bf16 the merged weights are rounded; what that does is seen, not hidden.
  ASSERT_EQ(Run("convert --model vla --out vla16 --dtype bf16").status, 0);
  const auto beside16 = actions("vla16 --adapter adapter"),
             merged16 = actions("vla16 --adapter adapter --merge-adapter");
  int same16 = 0;
  for (size_t i = 0; i < base.size(); ++i) same16 += merged16[i] == beside16[i] ? 1 : 0;
  RecordProperty("same_actions_merged_in_bf16_of_80", same16);
  EXPECT_GE(same16, 40);
  ASSERT_EQ(Run("convert --model vla --adapter adapter --out whole_policy").status, 0);
  EXPECT_EQ(actions("whole_policy"), merged);
}

TEST_F(CliFinetuneTest, WhatARunSaysOfItselfMakesTheSameRunAgain) {
  for (const std::string how : {"", " --lora-rank 2 --lora-alpha 3 --lora-targets q_proj"}) {
    RunJson("finetune --model vla --data demos.hdf5 --max-steps 3 --batch-size 4 --eval-every 0 --restart --out first" +
            how);
    std::filesystem::copy_file(dir_ / "first/train_config.json", dir_ / "again.json",
                               std::filesystem::copy_options::overwrite_existing);
    RunJson("finetune --config again.json --restart --out second");
    const char* weights = how.empty() ? "model.safetensors" : "adapter_model.safetensors";
    EXPECT_EQ(ReadFile(dir_ / "first" / weights), ReadFile(dir_ / "second" / weights)) << how;
  }
  // Started over as an adapter, the run left no model behind.
  EXPECT_FALSE(std::filesystem::exists(dir_ / "first/model.safetensors"));
#ifdef KINETOK_WITH_SIM
  const Json run = RunJson("sim run --model vla --adapter first --episodes 1 --max-steps 1 --tasks reach");
  EXPECT_TRUE(run.contains("success_rate"));
#endif
}

TEST_F(CliFinetuneTest, ImagesStayOnTheDisk) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs memory of its own";
#endif
  // 160 MB of pixels in a file of less than 1 MB, seen both as demonstrations and by questions about them.
  constexpr int kDemonstrations = 160, kSteps = 5, kSide = 256;
  std::string questions;
  DemonstrationWriter writer(dir_ / "large.hdf5", {{"image_rotation", 0}});
  for (int d = 0; d < kDemonstrations; ++d) {
    Demonstration demo{.instruction = "go", .images = {}, .actions = {}, .states = {}};
    for (int step = 0; step < kSteps; ++step) {
      demo.images.emplace_back(kSide, kSide);
      demo.actions.insert(demo.actions.end(), {d / 200.0, step / 10.0, 0, 0, 0, 0, 1});
      questions += fmt::format(R"({{"image": "large.hdf5:demo_{}:{}", "prompt": "where?", "completion": " a"}})"
                               "\n",
                               d, step);
    }
    writer.Add(demo);
  }
  writer.Finish();
  WriteFileAtomically(dir_ / "large.jsonl", questions);
  ASSERT_LT(std::filesystem::file_size(dir_ / "large.hdf5"), 2'000'000);
  const auto finetune = [](const char* demonstrations, const char* lines) {
    return std::vector<std::string>{
        "finetune", "--model",      "vla", "--data",    demonstrations, lines,  "--batch-size", "50", "--max-steps",
        "20",       "--eval-every", "0",   "--restart", "--out",        "lean", "--threads",    "2"};
  };
  const int64_t base = PeakRss(finetune("demos.hdf5", "questions.jsonl"));
  EXPECT_LT(PeakRss(finetune("large.hdf5", "large.jsonl")) - base, 40'000'000);
  std::filesystem::remove_all(dir_ / "lean");
}

TEST_F(CliFinetuneTest, DemonstrationsThatAreNoneAreTold) {
  const auto write = [](const Demonstration* demo, std::string_view camera = kDefaultCamera) {
    DemonstrationWriter writer(dir_ / "bad.hdf5", OrderedJson::object(), camera);
    if (demo != nullptr) writer.Add(*demo);
    writer.Finish();
  };
  const auto expect = [](const std::string& message) {
    ExpectError("finetune --model vla --data bad.hdf5 --out x", 1, "bad.hdf5: " + message);
    ExpectError("eval --model vla --data bad.hdf5", 1, "bad.hdf5: " + message);
  };
  write(nullptr);
  expect("has no demonstrations in \"data\"");
  Demonstration demo{.instruction = "go", .images = {Image(16, 16)}, .actions = {0, 0, 0, 0, 0, 0, 1}, .states = {}};
  write(&demo, "wrist");
  expect("data/demo_0/obs: has no camera \"agentview_rgb\", only wrist");
  demo.actions[3] = std::nan("");
  write(&demo);
  expect("data/demo_0/actions: step 0, dimension 3 is nan, expected a finite number");
  WriteFileAtomically(dir_ / "bad.hdf5", ReadFile(dir_ / "demos.hdf5").substr(0, 9000));
  expect("cannot be opened as HDF5; it is damaged or cut short");
}

TEST_F(CliFinetuneTest, NothingIsWrittenOverWhatIsRead) {
  std::filesystem::create_directory_symlink("vla", dir_ / "same");
  const std::string weights = ReadFile(dir_ / "vla/model.safetensors"), demos = ReadFile(dir_ / "demos.hdf5");
  for (const char* out : {"vla", "./vla/", "same"}) {
    ExpectError(std::string("finetune --model vla --data demos.hdf5 --max-steps 1 --out ") + out, 2,
                "which --model is too");
  }
  EXPECT_EQ(ReadFile(dir_ / "vla/model.safetensors"), weights);
#ifdef KINETOK_WITH_SIM
  ExpectError("sim view --data demos.hdf5 --out ./demos.hdf5", 2, "the file of --data; expected another one");
#endif
  EXPECT_EQ(ReadFile(dir_ / "demos.hdf5"), demos);
}

TEST_F(CliFinetuneTest, WhatDoesNotFitIsTold) {
  ExpectError("finetune --data demos.hdf5 --out x", 2, "--model");
  ExpectError("finetune --model model --data demos.hdf5 --out x", 1, "model (of type gpt2) sees no images");
  ExpectError("finetune --model vla --data demos.hdf5 --out x --data-weights demos=1", 2,
              "--data-weights names \"demos\"; the data has demonstrations");
  ExpectError("finetune --model vla --data demos.hdf5 questions.jsonl --out x --data-weights demonstrations=1", 2,
              "leaves out \"completions\"");
  ExpectError("finetune --model vla --data demos.hdf5 --out x --image-augmentation much", 2, "--image-augmentation");
  ExpectError("finetune --model vla --data demos.hdf5 --out x --lora-alpha 3", 2, "--lora-rank is missing");
  ExpectError("finetune --model vla --data demos.hdf5 --out x --lora-rank 2 --lora-targets c_attn", 1, "\"c_attn\"");
  ExpectError("finetune --model vla --data demos.hdf5 --val-data text.txt --out x", 2, "--data has no text");
  ExpectError("finetune --model vla --data demos.hdf5 --out x --camera wrist", 1, "has no camera \"wrist\"");
  WritePng(dir_ / "seen.png", Image(16, 16).view());
  ExpectError("act --model vla --adapter model --image seen.png --instruction x", 1, "adapter_config.json");
  ExpectError("eval --model model --data demos.hdf5", 1, "sees no images");
  ExpectError("generate --model model --image vla.json --prompt x", 1, "sees no images");
}

}  // namespace
}  // namespace kinetok
