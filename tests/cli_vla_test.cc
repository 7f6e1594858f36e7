// What the program does with a policy and measures of it.

#include <sstream>

#include "kinetok/io/image.h"
#include "kinetok/vla/test_policy.h"
#include "tests/cli_test_support.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CliVlaTest : public CliTest, protected TestPolicy {
 protected:
  std::string Bench(const std::string& more) const {
    return fmt::format("bench --vla --model '{}' {}", dir.string(), more);
  }
};

TEST_F(CliVlaTest, BenchTellsHowLongAnActionTakesAndWhere) {
  const Json json = RunJson(Bench("--calls 21 --json"));
  EXPECT_THAT(Keys(json), ElementsAre("isa", "threads", "vla"));
  const Json& vla = json["vla"];
  EXPECT_THAT(Keys(vla),
              ElementsAre("action_ms", "actions_fingerprint", "actions_per_s", "calls", "parts_ms", "shares"));
  EXPECT_EQ(vla["calls"], 21);
  const double p50 = vla["action_ms"]["p50"], p99 = vla["action_ms"]["p99"], max = vla["action_ms"]["max"];
  EXPECT_GT(p50, 0);
  EXPECT_LE(p50, p99);
  EXPECT_LE(p99, max);
  EXPECT_GT(vla["actions_per_s"], 0);
  double shares = 0;
  for (const char* part : {"decode", "image", "prefill", "vision"}) {
    EXPECT_GT(vla["parts_ms"][part], 0) << part;
    EXPECT_LE(vla["parts_ms"][part], max) << part;
    EXPECT_GT(vla["shares"][part], 0) << part;
    shares += vla["shares"][part].get<double>();
  }
  EXPECT_GT(shares, 0.5);
  EXPECT_LE(shares, 1);
}

TEST_F(CliVlaTest, TheActionsOfABenchAreTheSameOnAnyNumberOfThreads) {
  const auto fingerprint = [&](const char* flags) {
    return RunJson(Bench(flags))["vla"]["actions_fingerprint"].get<std::string>();
  };
  const std::string one = fingerprint("--calls 3 --threads 1 --json");
  EXPECT_EQ(one.size(), 64u);
  EXPECT_EQ(fingerprint("--calls 3 --threads 2 --json"), one);
  EXPECT_NE(fingerprint("--calls 2 --threads 1 --json"), one);
}

TEST_F(CliVlaTest, BenchPrintsATableForPeople) {
  const Result r = Run(Bench("--calls 2 --threads 1"));
  EXPECT_EQ(r.status, 0) << r.err;
  for (const char* part : {"2 calls, 1 threads", "median ms", "\nimage ", "\nvision ", "\nprefill ", "\ndecode ",
                           "\naction  p50 ", " actions/s\n"}) {
    EXPECT_THAT(r.out, HasSubstr(part));
  }
}

TEST_F(CliVlaTest, WhatCannotBeMeasuredIsSaid) {
  ExpectError("bench --vla", 2, "no model");
  ExpectError("bench --vla --preset tiny", 2, "--preset");
  ExpectError(Bench("--calls 0"), 2, "--calls");
  ExpectError("bench --vla --model model", 1, "model");
}

TEST_F(CliVlaTest, ExplainStepsLaysAnActionOpen) {
  WritePng(dir_ / "seen.png", Image(8, 8).view());
  const std::string on = fmt::format(" --model '{}' --image seen.png", dir.string());
  const Json action = RunJson("act" + on + " --instruction \"go left\" --json");
  const Json json = RunJson("explain steps" + on + " --instruction \"go left\" --json");
  ASSERT_EQ(json["steps"].size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(json["steps"][i]["choice"]["id"], action["tokens"][i]);
  EXPECT_THAT(json["steps"][0]["choice"]["token"].get<std::string>(), ::testing::StartsWith("0 "));
  EXPECT_THAT(json["steps"][0]["input"].get<std::string>(), HasSubstr(" patches]In: "));
  EXPECT_THAT(json["steps"][2]["input"].get<std::string>(), HasSubstr("][1 "));
  EXPECT_EQ(json["steps"][1]["cached"]["positions"], 1);
  EXPECT_EQ(json["same_bits"], true);

  const Json words = RunJson("explain steps" + on + " --prompt what? -n 2 --json");
  EXPECT_EQ(words["steps"].size(), 2u);
  const Json text = RunJson("generate" + on + " --prompt what? --greedy --max-new-tokens 2 --json");
  EXPECT_EQ(words["steps"][0]["choice"]["id"], text["tokens"][0]);
  for (const char* command : {"generate --greedy --max-new-tokens 2", "explain steps -n 2"}) {
    EXPECT_EQ(RunJson(command + on + " --tokens \"256 119\" --json")["prompt_tokens"], 18) << command;
    ExpectError(command + on + " --tokens \"\"", 2, "--tokens is empty");
  }

  ExpectError("explain steps" + on, 2, "--image goes with --instruction");
  ExpectError("explain steps --model x --instruction a", 2, "--instruction needs --image");
  ExpectError("explain steps" + on + " --instruction a -n 4", 2, "--steps is 4; an action here has 3 tokens");
}

TEST_F(CliVlaTest, HowImagesAreReadIsChosenWithTheModelAndKept) {
  const std::string init = "init --model-config '" KINETOK_SOURCE_DIR "/examples/vla.json' --out ";
  const auto preset = [](const std::string& model) {
    return ParseJson(ReadFile(dir_ / model / "preprocessor_config.json"), model).at("kinetok_preset");
  };
  ASSERT_EQ(Run(init + "plain").status, 0);
  EXPECT_EQ(preset("plain"), Json({{"name", "server"}}));
  ASSERT_EQ(Run(init + "turned --image-preset tensorflow-eval --rotate-180 --center-crop").status, 0);
  EXPECT_EQ(
      preset("turned"),
      Json({{"name", "tensorflow-eval"}, {"rotate_180", true}, {"jpeg_round_trip", true}, {"center_crop", true}}));
  ExpectError(init + "x --image-preset tensorflow", 2, "--image-preset is \"tensorflow\"");
  ExpectError(init + "x --rotate-180", 2, "need --image-preset tensorflow-eval");
  ExpectError(init + "x --image-preset server --center-crop", 2, "need --image-preset tensorflow-eval");
  ExpectError("init --preset tiny --out x --image-preset server", 2, "models with vision towers");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "x"));

  // finetune keeps what the model says unless told otherwise, and random crops bring the centre crop of acting.
  WritePng(dir_ / "seen.png", Image(8, 8).view());
  WriteFileAtomically(dir_ / "q.jsonl", R"({"image": "seen.png", "prompt": "a", "completion": "b"})"
                                        "\n");
  const std::string tune = fmt::format("finetune --model '{}' --data q.jsonl --batch-size 1 ", dir.string());
  ASSERT_EQ(Run(tune + "--max-steps 1 --out same").status, 0);
  EXPECT_EQ(preset("same"), Json({{"name", "server"}}));
  const Result r = Run(tune + "--max-steps 1 --out cropped --image-augmentation openvla");
  EXPECT_THAT(r.err, HasSubstr("not at all when the policy acts; --image-preset tensorflow-eval"));
  ASSERT_EQ(Run(tune + "--max-steps 1 --out told --image-augmentation openvla --image-preset tensorflow-eval").status,
            0);
  EXPECT_EQ(preset("told").at("center_crop"), true);
  ExpectError(
      tune + "--max-steps 2 --out told --image-augmentation openvla --image-preset tensorflow-eval --rotate-180", 1,
      "image_preset.rotate_180 is false in this run");
}

TEST_F(CliVlaTest, ALineOfABatchMayBringItsSeed) {
  WritePng(dir_ / "seen.png", Image(8, 8).view());
  std::string lines;
  for (const char* seed : {"", R"(, "seed": 1)", R"(, "seed": 2)", R"(, "seed": 2)", R"(, "seed": -1)"}) {
    lines += fmt::format("{{\"image\": \"seen.png\", \"instruction\": \"a\"{}}}\n", seed);
  }
  WriteFileAtomically(dir_ / "lines.jsonl", lines);
  const Result r = Run(fmt::format("act --model '{}' --batch-file lines.jsonl --temperature 1 --seed 1", dir.string()));
  EXPECT_EQ(r.status, 1);
  std::vector<Json> answers;
  std::istringstream in(r.out);
  for (std::string line; std::getline(in, line);) answers.push_back(Json::parse(line));
  ASSERT_EQ(answers.size(), 5u);
  EXPECT_EQ(answers[0]["tokens"], answers[1]["tokens"]);
  EXPECT_NE(answers[1]["tokens"], answers[2]["tokens"]);
  EXPECT_EQ(answers[2]["tokens"], answers[3]["tokens"]);
  EXPECT_THAT(answers[4]["error"].get<std::string>(), HasSubstr("\"seed\""));
}

}  // namespace
}  // namespace kinetok
