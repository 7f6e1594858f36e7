// What a resumed run must have in common with its beginning.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinetok/model/checkpoint.h"
#include "kinetok/train/trainer_test_run.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A base of weights drawn with that seed.
fs::path WriteBase(const TemporaryFolder& folder, const TinyRun& run, uint64_t seed) {
  const ParameterList list(run.Job().model);
  std::vector<float> weights(static_cast<size_t>(list.elements));
  InitializeParameters(list, seed, weights);
  const fs::path dir = folder / fmt::format("base{}", seed);
  SaveCheckpoint(dir, run.Job().model, weights, nullptr, DType::kF32);
  return dir;
}

TEST(ResumeTest, ARunResumesWithTheWeightsAndSettingsThatItBeganWith) {
  const TemporaryFolder folder;
  TinyRun run(folder);
  run.job().lora = LoraOptions{.rank = 2};
  run.job().base = WriteBase(folder, run, 1);
  run.job().settings["camera"] = "front";
  StopAfter observer(3);
  run.Run(folder / "out", 1, &observer, &observer.stop);
  const std::string before = ReadFile(folder / "out/adapter_config.json");

  run.job().base = WriteBase(folder, run, 2);
  EXPECT_THAT(ErrorOf([&] { run.Run(folder / "out"); }), HasSubstr("train_config.json: model-weights is "));
  EXPECT_EQ(ReadFile(folder / "out/adapter_config.json"), before);
  fs::rename(folder / "base1", folder / "moved");
  run.job().base = folder / "moved";
  run.job().settings["camera"] = "wrist";
  EXPECT_THAT(ErrorOf([&] { run.Run(folder / "out"); }),
              HasSubstr("camera is \"front\" in this run, now it is \"wrist\""));
  run.job().settings["camera"] = "front";
  EXPECT_EQ(run.Run(folder / "out").steps, 12);

  // A run of an older program has none of these fields and resumes.
  OrderedJson config = OrderedJson::parse(ReadFile(folder / "out/train_config.json"));
  ASSERT_EQ(config.erase("model-weights") + config.erase("camera"), 2u);
  WriteFileAtomically(folder / "out/train_config.json", config.dump());
  run.train().max_steps = 14;
  EXPECT_EQ(run.Run(folder / "out").steps, 14);
}

TEST(ResumeTest, WhatAnOlderProgramDidNotWriteIsNotComparedAtAnyDepth) {
  const TemporaryFolder folder;
  const TinyRun run(folder);
  run.Run(folder / "out");
  const auto check = [&](const OrderedJson& saved, const OrderedJson& now) {
    RunDirectory directory(folder / "out", false);
    WriteFileAtomically(folder / "out/train_config.json", saved.dump());
    directory.CheckConfig(now, {}, std::vector<std::string>{"pictures"});
  };
  const OrderedJson old = {{"data", {{{"sha256", "a"}}, {{"sha256", "b"}}}}};
  OrderedJson now = {{"data", {{{"sha256", "a"}, {"pictures", "p"}}, {{"sha256", "b"}}}}, {"pictures", "q"}};
  check(old, now);
  EXPECT_THAT(ErrorOf([&] { check(now, old); }), HasSubstr("data is "));
  const OrderedJson saved = now;
  now["data"][0]["pictures"] = "other";
  EXPECT_THAT(ErrorOf([&] { check(saved, now); }), HasSubstr("data is "));
}

}  // namespace
}  // namespace kinetok
