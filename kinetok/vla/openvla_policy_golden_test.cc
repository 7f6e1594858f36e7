// Parity of the whole path with OpenVLA's own processor and predict_action, without Python: a picture's file and an
// instruction in, action tokens and an action out (tests/golden/openvla_policy.json, which
// tools/golden/make_openvla_policy_golden.py writes).
#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <set>
#include <utility>

#include "kinetok/base/sha256.h"
#include "kinetok/io/image.h"
#include "kinetok/vla/openvla_golden_models.h"
#include "kinetok/vla/policy.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

// Of the largest: openvla_golden_test.cc's reasoning with sums of up to 768 products, sqrt(60) sqrt(768) 2^-24
// = 1.3e-5.
constexpr double kBound = 2e-5;
constexpr int32_t kTextIds = 32000;  // Llama 2's

const Json& Golden() {
  static const Json golden = ReadGolden("openvla_policy.json");
  return golden;
}
const Json& Cases() {
  return Golden().at("cases");
}

// With the pieces that the golden file leaves out, for they occur in no text.
Json WholeTokenizer() {
  Json tokenizer = Golden().at("tokenizer");
  Json& vocabulary = tokenizer["model"]["vocab"];
  std::set<int32_t> used;
  for (const auto& [piece, id] : vocabulary.items()) used.insert(id.get<int32_t>());
  for (int32_t id = 0; id < kTextIds; ++id) {
    if (!used.contains(id)) vocabulary[fmt::format("<unused{}>", id)] = id;
  }
  return tokenizer;
}

Image Picture(const Json& sample) {
  return ReadImage(fs::path(KINETOK_SOURCE_DIR) / "tests/golden/images" / sample.at("picture").get<std::string>());
}

// A null is the reference's None: the only data set.
std::string Key(const Json& sample) {
  const Json& key = sample.at("unnorm_key");
  return key.is_null() ? "" : key.get<std::string>();
}

class OpenVlaPolicyGoldenTest : public ::testing::TestWithParam<size_t> {
 protected:
  OpenVlaPolicyGoldenTest()
      : golden_(Cases().at(GetParam())),
        dir_(fs::temp_directory_path() / fmt::format("kinetok_openvla_policy_{}_{}", getpid(), GetParam())) {
    WriteOpenVla(golden_, dir_);
    WriteFileAtomically(dir_ / "tokenizer.json", WholeTokenizer().dump());
    WriteFileAtomically(dir_ / "preprocessor_config.json", golden_.at("preprocessor_config").dump());
    policy_.emplace(dir_, ContextOptions{.threads = 2, .isa = "auto"});
  }
  ~OpenVlaPolicyGoldenTest() override { fs::remove_all(dir_); }

  Action Act(const Json& sample, bool unconstrained, ActionTrace* trace = nullptr) {
    return policy_->Act(Picture(sample).view(), sample.at("instruction").get<std::string>(),
                        {.unnorm_key = Key(sample), .unconstrained = unconstrained, .trace = trace});
  }

  const Json& golden_;
  fs::path dir_;
  std::optional<Policy> policy_;
};

// Both compute an action in double, in the same order: what is expected is every bit.
TEST_P(OpenVlaPolicyGoldenTest, APictureAndAnInstructionGiveTheTokensAndTheActionOfTheReference) {
  for (const Json& sample : golden_.at("samples")) {
    SCOPED_TRACE(fmt::format("{}, {}", sample.at("picture").dump(), sample.at("instruction").dump()));
    const Action constrained = Act(sample, false), free = Act(sample, true);
    EXPECT_EQ(constrained.tokens, sample.at("tokens").get<std::vector<int32_t>>());
    EXPECT_EQ(constrained.values, sample.at("action").get<std::vector<double>>());
    EXPECT_EQ(free.tokens, sample.at("unconstrained_tokens").get<std::vector<int32_t>>());
    EXPECT_EQ(free.values, sample.at("unconstrained_action").get<std::vector<double>>());
  }
}

TEST_P(OpenVlaPolicyGoldenTest, EveryStageOnTheWayIsThatOfTheReference) {
  double features_worst = 0, logits_worst = 0;
  for (const Json& sample : golden_.at("samples")) {
    SCOPED_TRACE(fmt::format("{}, {}", sample.at("picture").dump(), sample.at("instruction").dump()));
    const std::vector<int32_t> prompt =
        InstructionTokens(*policy_->model().tokenizer(), sample.at("instruction").get<std::string>(),
                          policy_->config().style, policy_->config().separator, 0);
    EXPECT_EQ(prompt, sample.at("prompt").get<std::vector<int32_t>>());
    ActionTrace trace;
    Act(sample, false, &trace);
    Sha256 pixels;
    pixels.Update(std::as_bytes(std::span(trace.pixel_values)));
    EXPECT_EQ(pixels.Hex(), sample.at("pixels"));
    const Json& features = sample.at("features");
    const auto patches = static_cast<int64_t>(features.size());
    const int64_t width = policy_->model().config().hidden_size;
    ASSERT_EQ(static_cast<int64_t>(trace.patch_features.size()), patches * width);
    for (int64_t p = 0; p < patches; ++p) {
      const double d = DifferenceFromKept(trace.patch_features.data() + p * width, width, p, features.at(p));
      features_worst = std::max(features_worst, d / sample.at("largest_feature").get<double>());
    }
    const auto logits = static_cast<int64_t>(trace.logits.size());
    const double d = DifferenceFromKept(trace.logits.data(), logits, 0, sample.at("logits"));
    logits_worst = std::max(logits_worst, d / sample.at("largest_logit").get<double>());
  }
  RecordProperty("features", fmt::format("{:.2e}", features_worst));
  RecordProperty("logits", fmt::format("{:.2e}", logits_worst));
  EXPECT_LE(features_worst, kBound);
  EXPECT_LE(logits_worst, kBound);
}

TEST_P(OpenVlaPolicyGoldenTest, AnEndOfTextInThePlaceOfTheLastTokenIsDecodedAsInTheReference) {
  const Json& sample = golden_.at("end_as_the_last");
  const std::vector<int32_t> tokens = sample.at("unconstrained_tokens");
  ASSERT_EQ(tokens.back(), 2);
  SamplerOptions sampler = {.greedy = true};
  sampler.allowed_tokens.assign(tokens.size() - 1, policy_->config().actions.ids());
  sampler.allowed_tokens.push_back({2});
  const Action action = policy_->Act(Picture(sample).view(), sample.at("instruction").get<std::string>(),
                                     {.unnorm_key = Key(sample), .unconstrained = true, .sampler = std::move(sampler)});
  EXPECT_EQ(action.tokens, tokens);
  EXPECT_EQ(action.values, sample.at("unconstrained_action").get<std::vector<double>>());
}

// A golden file in which every action is the same, or passes through as it is, would show little.
TEST(OpenVlaPolicyGoldenFileTest, HasManyActionsPicturesOfEveryKindAndStatisticsThatMatter) {
  Choices free;
  std::set<std::string> pictures, instructions;
  std::set<std::vector<double>> actions;
  int64_t samples = 0, passed_through = 0;
  for (const Json& golden : Cases()) {
    for (const Json& sample : golden.at("samples")) {
      free.Count(sample.at("unconstrained_tokens"), golden.at("vocab_end"));
      pictures.insert(sample.at("picture"));
      instructions.insert(sample.at("instruction"));
      actions.insert(sample.at("action").get<std::vector<double>>());
      ++samples;
    }
    for (const Json& dataset : golden.at("config").at("norm_stats")) {
      for (const Json& mask : dataset.at("action").value("mask", Json::array())) passed_through += mask ? 0 : 1;
    }
  }
  EXPECT_GE(samples, 70);
  EXPECT_GE(free.different(), 100);
  EXPECT_GE(free.other, 10);
  EXPECT_GE(pictures.size(), 12u);
  EXPECT_GE(instructions.size(), 8u);
  EXPECT_GE(actions.size(), 60u);
  EXPECT_GE(passed_through, 3);
  for (const char* kind : {"odd_97x61.png", "grey_75x90.jpg", "grey_alpha.png", "rgba.png"}) {
    EXPECT_TRUE(pictures.contains(kind)) << kind;
  }
}

std::vector<size_t> AllCases() {
  std::vector<size_t> out(Cases().size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = i;
  return out;
}
INSTANTIATE_TEST_SUITE_P(Cases, OpenVlaPolicyGoldenTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& param) { return GoldenTestName(Cases().at(param.param)); });

}  // namespace
}  // namespace kinetok
