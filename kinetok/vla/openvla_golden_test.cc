// Parity with OpenVLA's own modeling code, without Python: tests/golden/openvla.json holds configurations, the recipe
// of weights, pixels and prompts, and what the reference computed in double precision
// (tools/golden/make_openvla_golden.py).
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "kinetok/decode/engine.h"
#include "kinetok/vla/action_tokenizer.h"
#include "kinetok/vla/openvla_golden_models.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

// Of the largest. A feature ends a chain of some 60 sums of at most 340 products: each errs by about sqrt(340) 2^-24
// = 1.1e-6, and as signs go their sum is within 1e-5.
constexpr double kBound = 1e-5;

const Json& Cases() {
  static const Json cases = ReadGolden("openvla.json").at("cases");
  return cases;
}

class OpenVlaGoldenTest : public ::testing::TestWithParam<size_t> {
 protected:
  OpenVlaGoldenTest()
      : golden_(Cases().at(GetParam())),
        dir_(fs::temp_directory_path() / fmt::format("kinetok_openvla_{}_{}", getpid(), GetParam())) {
    WriteOpenVla(golden_, dir_);
    model_ = Model::Load(context_, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
  }
  ~OpenVlaGoldenTest() override { fs::remove_all(dir_); }

  std::vector<float> Pixels(const Json& sample) {
    std::vector<float> pixels(model_->ImageFloats());
    const auto number = 0xFFFFFFF0u - sample.at("image").get<uint32_t>();
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = 4 * DrawGolden(golden_.at("seed"), number, i);
    return pixels;
  }

  // BOS, the image's patches, the rest of the prompt.
  std::vector<int32_t> Tokens(const Json& sample) {
    const std::vector<int32_t> prompt = sample.at("prompt");
    std::vector<int32_t> tokens = {prompt[0]};
    tokens.resize(1 + model_->config().ImagePatches(), Prompt::kEmbedding);
    tokens.insert(tokens.end(), prompt.begin() + 1, prompt.end());
    return tokens;
  }

  std::vector<int32_t> Act(const Json& sample, const SamplerOptions& sampler) {
    const std::vector<int32_t> tokens = Tokens(sample);
    const std::vector<float> pixels = Pixels(sample);
    Workspace vision;
    Engine engine(context_, model_);
    engine.Add({tokens, model_->EncodeImages(context_, pixels, vision)},
               {.sampler = sampler, .max_new_tokens = 7, .ignore_eos = true});
    std::vector<int32_t> out;
    while (!engine.idle()) {
      for (const NewToken& t : engine.Step()) out.push_back(t.token);
    }
    return out;
  }

  Json golden_;
  Context context_{2, BestIsa()};
  fs::path dir_;
  std::shared_ptr<const Model> model_;
};

TEST_P(OpenVlaGoldenTest, FeaturesAndLogitsAreThoseOfTheReference) {
  double features_worst = 0, logits_worst = 0;
  for (const Json& sample : golden_.at("samples")) {
    Workspace vision, decoder;
    const std::vector<float> pixels = Pixels(sample);
    const Rows<const float> features = model_->EncodeImages(context_, pixels, vision);
    ASSERT_EQ(features.rows, static_cast<int64_t>(sample.at("features").size()));
    for (int64_t p = 0; p < features.rows; ++p) {
      const double d = DifferenceFromKept(features[p], features.width, p, sample.at("features").at(p));
      features_worst = std::max(features_worst, d / sample.at("largest_feature").get<double>());
    }
    KvCache cache(model_->config());
    const int sequence = cache.NewSequence();
    std::vector<BatchRow> rows;
    int64_t patch = 0;
    for (const int32_t token : Tokens(sample)) {
      const bool embedding = token == Prompt::kEmbedding;
      rows.push_back({embedding ? 0 : token, sequence, false, embedding ? features[patch++] : nullptr});
    }
    rows.back().want_logits = true;
    const Rows<const float> logits = model_->Forward(context_, rows, cache, decoder);
    const double d = DifferenceFromKept(logits[0], logits.width, 0, sample.at("logits"));
    logits_worst = std::max(logits_worst, d / sample.at("largest_logit").get<double>());
  }
  RecordProperty("features", fmt::format("{:.2e}", features_worst));
  RecordProperty("logits", fmt::format("{:.2e}", logits_worst));
  EXPECT_LE(features_worst, kBound);
  EXPECT_LE(logits_worst, kBound);
}

// What the towers see is read through a projector that passes channels on: x = gelu(x) - gelu(-x), and half of its
// outputs are spent on the negatives.
class SeeThrough {
 public:
  SeeThrough(int64_t seen, int64_t outputs, int64_t first) : seen_(seen), outputs_(outputs), first_(first) {}

  // The tensor of a projector that gives channels first .. first + outputs / 2; empty for another tensor.
  std::vector<float> Tensor(const std::string& name, const std::vector<int64_t>& shape, bool fused) const {
    if (!name.starts_with("projector.")) return {};
    std::vector<float> v(static_cast<size_t>(shape.size() == 2 ? shape[0] * shape[1] : shape[0]));
    if (shape.size() != 2) return v;
    const auto at = [&](int64_t row, int64_t column) -> float& { return v[row * shape[1] + column]; };
    const int64_t half = outputs_ / 2;
    if (fused && name == "projector.fc1.weight") {  // x and -x
      for (int64_t i = 0; i < seen_; ++i) at(i, i) = 1, at(seen_ + i, i) = -1;
    } else if (name == (fused ? "projector.fc2.weight" : "projector.fc1.weight")) {  // the chosen ones of them
      for (int64_t i = 0; i < std::min(half, seen_ - first_); ++i) {
        at(i, first_ + i) = 1, at(half + i, first_ + i) = -1;
        if (fused) at(i, seen_ + first_ + i) = -1, at(half + i, seen_ + first_ + i) = 1;
      }
    } else {
      for (int64_t i = 0; i < half; ++i) at(i, i) = 1, at(i, half + i) = -1;
    }
    return v;
  }

 private:
  int64_t seen_, outputs_, first_;
};

TEST_P(OpenVlaGoldenTest, WhatTheTowersSeeIsWhatTheReferenceSeesBeforeItsProjector) {
  const bool fused = model_->config().towers.size() == 2;
  const int64_t outputs = model_->config().hidden_size, half = outputs / 2, patches = model_->config().ImagePatches();
  int64_t seen = 0;
  for (const ModelConfig& tower : model_->config().towers) seen += tower.hidden_size;
  std::vector<const Json*> samples;
  for (const Json& sample : golden_.at("samples")) {
    if (sample.contains("seen")) samples.push_back(&sample);
  }
  ASSERT_GE(samples.size(), 2u);
  std::vector<std::vector<float>> features(samples.size(), std::vector<float>(patches * seen));
  for (int64_t first = 0; first < seen; first += half) {
    WriteDrawnCheckpoint(golden_, dir_, [&](uint32_t number, const std::string& name, const auto& shape) {
      std::vector<float> v = SeeThrough(seen, outputs, first).Tensor(name, shape, fused);
      return v.empty() ? DrawOpenVla(golden_, number, name, shape) : v;
    });
    model_ = Model::Load(context_, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
    for (size_t s = 0; s < samples.size(); ++s) {
      Workspace vision;
      const std::vector<float> pixels = Pixels(*samples[s]);
      const Rows<const float> rows = model_->EncodeImages(context_, pixels, vision);
      for (int64_t p = 0; p < patches; ++p) {
        std::copy_n(rows[p], std::min(half, seen - first), features[s].begin() + p * seen + first);
      }
    }
  }
  double worst = 0;
  for (size_t s = 0; s < samples.size(); ++s) {
    for (int64_t p = 0; p < patches; ++p) {
      const double d =
          DifferenceFromKept(features[s].data() + p * seen, seen, p, samples[s]->at("seen").at(static_cast<size_t>(p)));
      worst = std::max(worst, d / samples[s]->at("largest_seen").get<double>());
    }
  }
  RecordProperty("seen", fmt::format("{:.2e}", worst));
  EXPECT_LE(worst, kBound);
}

TEST_P(OpenVlaGoldenTest, ActionTokensAreThoseOfTheReferenceWithAndWithoutTheConstraint) {
  const ActionTokenizer actions(golden_.at("vocab_end"));
  for (const Json& sample : golden_.at("samples")) {
    EXPECT_EQ(Act(sample, {.greedy = true, .allowed_tokens = {actions.ids()}}),
              sample.at("actions").get<std::vector<int32_t>>());
    EXPECT_EQ(Act(sample, {.greedy = true}), sample.at("unconstrained").get<std::vector<int32_t>>());
  }
}

// A head that always chose the same few ids, or only actions, would show little.
TEST(OpenVlaGoldenFileTest, ManyActionsWinWithoutTheConstraintAndSomeIdsThatAreNone) {
  Choices free;
  for (const Json& golden : Cases()) {
    for (const Json& sample : golden.at("samples")) free.Count(sample.at("unconstrained"), golden.at("vocab_end"));
  }
  EXPECT_EQ(free.tokens, 560);
  EXPECT_GE(free.different(), 100);
  EXPECT_GE(free.other, 50);
}

std::vector<size_t> AllCases() {
  std::vector<size_t> out(Cases().size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = i;
  return out;
}
INSTANTIATE_TEST_SUITE_P(Cases, OpenVlaGoldenTest, ::testing::ValuesIn(AllCases()),
                         [](const auto& param) { return GoldenTestName(Cases().at(param.param)); });

}  // namespace
}  // namespace kinetok
