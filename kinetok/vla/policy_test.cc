// A policy end to end, with a tokenizer of its own and random weights: what it must do whatever the weights are.
#include "kinetok/vla/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/io_test_files.h"
#include "kinetok/model/convert.h"
#include "kinetok/vla/test_policy.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class PolicyTest : public ::testing::Test, protected TestPolicy {};

TEST_F(PolicyTest, GivesOneActionTokenADimensionWithItsDistribution) {
  Policy policy(dir, {.threads = 2, .isa = "auto"});
  const Action a = policy.Act(View(), "Push the red block");
  ASSERT_EQ(a.tokens.size(), 3u);
  EXPECT_EQ(a.unnorm_key, "toy");
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(policy.config().actions.IsAction(a.tokens[i]));
    EXPECT_EQ(a.normalized[i], policy.config().actions.Decode(a.tokens[i]));
    ASSERT_EQ(a.alternatives[i].size(), 5u);
    EXPECT_EQ(a.alternatives[i][0].token, a.tokens[i]);
    EXPECT_EQ(a.alternatives[i][0].probability, a.probabilities[i]);
    EXPECT_GT(a.entropies[i], 0);
    EXPECT_LE(a.entropies[i], std::log(256.0));
  }
  EXPECT_EQ(a.values[1], 2 * a.normalized[1]);
  EXPECT_EQ(a.names, (std::vector<std::string>{"0", "1", "2"}));
}

TEST_F(PolicyTest, TheSameSituationGivesTheSameActionOnAnyNumberOfThreadsAndInstructionSet) {
  std::vector<double> want;
  for (const Isa isa : SupportedIsas()) {
    // As ParseIsa calls them: "portable" is the one with the machine's FMA where there is one.
    const bool portable = isa == Isa::kPortable || isa == Isa::kPortableFma;
    const std::string_view name = !portable ? IsaName(isa) : isa == Isa::kPortable ? "portable-baseline" : "portable";
    for (int threads = 1; threads <= 3; ++threads) {
      Policy policy(dir, {.threads = threads, .isa = name});
      ASSERT_EQ(policy.isa(), isa);
      ActionTrace trace;
      const Action a = policy.Act(View(), "reach", {.trace = &trace});
      std::vector<double> got(trace.logits.begin(), trace.logits.end());
      got.insert(got.end(), trace.patch_features.begin(), trace.patch_features.end());
      got.insert(got.end(), a.values.begin(), a.values.end());
      if (want.empty()) want = got;
      EXPECT_EQ(got, want) << IsaName(isa) << ", " << threads << " threads";
    }
  }
}

TEST_F(PolicyTest, ImageAndInstructionBothMatterAndACallLeavesNothingBehind) {
  Policy policy(dir, {.threads = 1, .isa = "auto"});
  ActionTrace first, other_image, other_text, again;
  policy.Act(View(), "reach", {.trace = &first});
  policy.Act(View(), "reach it", {.trace = &other_text});
  pixels[300] ^= 0x80;
  policy.Act(View(), "reach", {.trace = &other_image});
  pixels[300] ^= 0x80;
  policy.Act(View(), "reach", {.trace = &again});
  EXPECT_NE(first.logits, other_text.logits);
  EXPECT_NE(first.logits, other_image.logits);
  EXPECT_EQ(first.patch_features, other_text.patch_features);
  EXPECT_EQ(first.logits, again.logits);
}

TEST_F(PolicyTest, DrawsAtRandomAreRepeatableAndStayActions) {
  Policy policy(dir, {.threads = 1, .isa = "auto"});
  const auto draw = [&](uint64_t seed) {
    return policy.Act(View(), "reach", {.sampler = {.temperature = 2, .seed = seed}}).tokens;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
  for (const int32_t t : draw(3)) EXPECT_TRUE(policy.config().actions.IsAction(t));
}

TEST_F(PolicyTest, WithoutTheConstraintAnEarlyEndIsAnErrorThatNamesThePosition) {
  Policy policy(dir, {.threads = 1, .isa = "auto"});
  const std::string error = ErrorOf([&] {
    policy.Act(View(), "reach", {.unconstrained = true, .sampler = {.greedy = true, .logit_bias = {{256, 1000}}}});
  });
  EXPECT_THAT(error, HasSubstr("ended its answer at action token 1 of 3"));
}

// As the reference, which reads the last tokens of whatever came.
TEST_F(PolicyTest, WithoutTheConstraintAnEndAsTheLastTokenIsTheNearestBin) {
  WriteFileAtomically(dir / "dataset_statistics.json", Json({{"one", Statistics({-3}, {5})}}).dump());
  Policy policy(dir, {.threads = 1, .isa = "auto"});
  const Action a =
      policy.Act(View(), "reach", {.unconstrained = true, .sampler = {.greedy = true, .logit_bias = {{256, 1000}}}});
  EXPECT_EQ(a.tokens, std::vector<int32_t>{256});
  EXPECT_EQ(a.bins, std::vector<int>{ActionTokenizer::kBins - 2});
  EXPECT_EQ(a.values[0], 0.5 * (policy.config().actions.Center(ActionTokenizer::kBins - 2) + 1) * 8 - 3);
  EXPECT_EQ(a.probabilities[0], 0);
}

TEST_F(PolicyTest, WhatDoesNotFitIsAnErrorAndThePolicyGoesOn) {
  Policy policy(dir, {.threads = 1, .isa = "auto"});
  const auto refusal = [&](const ImageView& image, const std::string& instruction, const std::string& key) {
    std::string error = ErrorOf([&] { policy.Act(image, instruction, {.unnorm_key = key}); });
    EXPECT_EQ(ErrorOf([&] { policy.CheckRequest(image, instruction, key); }), error);
    return error;
  };
  EXPECT_THAT(refusal(View(), "reach", "bridge"), HasSubstr("\"bridge\""));
  EXPECT_THAT(refusal({}, "reach", ""), ::testing::Not(""));
  EXPECT_THAT(refusal(View(), "", ""), HasSubstr("instruction is empty"));
  EXPECT_THAT(refusal(View(), std::string(300, 'x'), ""), HasSubstr("context holds 200"));
  EXPECT_EQ(refusal(View(), "reach", ""), "");
}

TEST_F(PolicyTest, DatasetStatisticsReplaceThoseOfTheConfig) {
  WriteFileAtomically(dir / "dataset_statistics.json",
                      R"({"new": {"action": {"q01": [0, 0, 0, 0, 0, 0, 0], "q99": [1, 1, 1, 1, 1, 1, 1]}}})");
  Policy policy(dir, {.threads = 1, .isa = "auto"});
  const Action a = policy.Act(View(), "reach");
  EXPECT_EQ(a.unnorm_key, "new");
  ASSERT_EQ(a.names.size(), 7u);
  EXPECT_EQ(a.names[5], "yaw");
  EXPECT_EQ(a.units[5], "rad");
}

TEST_F(PolicyTest, NamesAndUnitsAreThoseOfTheDirectoryOrOpenVlas) {
  const auto with = [&](const Json& own) {
    ModelConfig changed = config;
    changed.carried["kinetok_vla"] = own;
    return PolicyConfig(changed, dir);
  };
  using Words = std::vector<std::string>;
  const PolicyConfig named = with({{"separator_token_id", 32}, {"action_names", {"a", "b", "c"}}});
  EXPECT_EQ(named.Names(3), (Words{"a", "b", "c"}));
  EXPECT_EQ(named.Units(3), (Words{"", "", ""}));
  const PolicyConfig silent = with({{"separator_token_id", 32}});
  EXPECT_EQ(silent.Names(3), (Words{"0", "1", "2"}));
  EXPECT_EQ(silent.Units(7)[0], "m");
  // Seven joints whose names are known are not metres.
  config.carried["norm_stats"] = {{"arm", Statistics(std::vector<double>(7, -1), std::vector<double>(7, 1))}};
  const Words joints = {"j1", "j2", "j3", "j4", "j5", "j6", "j7"};
  EXPECT_EQ(with({{"separator_token_id", 32}, {"action_names", joints}}).Units(7), Words(7));
  EXPECT_THAT(ErrorOf([&] {
                with({{"separator_token_id", 32}, {"action_units", {"m", "m"}}});
              }),
              HasSubstr("\"action_units\" has 2 entries, expected 7, as many as the actions of \"arm\""));
  EXPECT_THAT(ErrorOf([&] {
                with({{"separator_token_id", 32}, {"action_name", joints}});
              }),
              HasSubstr("field \"action_name\" is unknown; expected separator_token_id"));
}

TEST_F(PolicyTest, AnAdaptersStatisticsReplaceBoth) {
  const fs::path adapter = dir / "adapter";
  fs::create_directory(adapter);
  const auto key = [&] { return PolicyConfig(config, dir, adapter).statistics.Choose("").first; };
  EXPECT_EQ(key(), "toy");
  WriteFileAtomically(adapter / "dataset_statistics.json", Json({{"own", Statistics({0, 0}, {1, 1})}}).dump());
  EXPECT_EQ(key(), "own");
}

TEST_F(PolicyTest, ConvertedFromAndBackItGivesTheSameAction) {
  const fs::path shards = dir.string() + "_shards", back = dir.string() + "_back";
  ConvertModel(dir, shards, {.max_shard_bytes = 100000});
  EXPECT_TRUE(fs::exists(shards / "model.safetensors.index.json"));
  ConvertModel(shards, back, {});
  EXPECT_EQ(ReadFile(back / "model.safetensors"), ReadFile(dir / "model.safetensors"));
  Policy policy(dir, {.threads = 1, .isa = "auto"}), other(shards, {.threads = 1, .isa = "auto"});
  EXPECT_EQ(policy.Act(View(), "reach").values, other.Act(View(), "reach").values);
  fs::remove_all(shards);
  fs::remove_all(back);
}

}  // namespace
}  // namespace kinetok
