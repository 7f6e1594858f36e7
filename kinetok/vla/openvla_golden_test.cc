// Parity with OpenVLA's own modeling code, without Python: tests/golden/openvla.json holds configurations, the recipe
// of weights, pixels and prompts, and what the reference computed in double precision
// (tools/golden/make_openvla_golden.py).
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "kinetok/decode/engine.h"
#include "kinetok/model/golden_models.h"
#include "kinetok/vla/action_tokenizer.h"

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
    const int64_t end = golden_.at("vocab_end");
    WriteDrawnCheckpoint(golden_, dir_, [&](uint32_t number, const std::string& name, const auto& shape) {
      return Draw(number, name, shape, end);
    });
    model_ = Model::Load(context_, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
  }
  ~OpenVlaGoldenTest() override { fs::remove_all(dir_); }

  // As make_openvla_golden.py draws.
  std::vector<float> Draw(uint32_t number, const std::string& name, const std::vector<int64_t>& shape, int64_t end) {
    const auto ends = [&](std::initializer_list<std::string_view> endings) {
      return std::any_of(endings.begin(), endings.end(), [&](auto e) { return name.ends_with(e); });
    };
    const bool one = ends({"scale_factor", "norm.weight", "norm1.weight", "norm2.weight", "layernorm.weight"});
    float scale = name.find("projector") != std::string::npos ? 1.0f : 0.5f;
    if (ends({"pos_embed", "cls_token", "reg_token"})) scale = 0.25f;
    if (one) scale = 0.5f;
    int64_t elements = 1;
    for (const int64_t d : shape) elements *= d;
    std::vector<float> v(elements);
    for (int64_t i = 0; i < elements; ++i) {
      v[i] = DrawGolden(golden_.at("seed"), number, static_cast<uint64_t>(i)) * scale + (one ? 1.0f : 0.0f);
      const int64_t row = i / shape.back();
      if (name.ends_with("lm_head.weight") && row >= end - ActionTokenizer::kBins && row < end) v[i] *= 1.25f;
    }
    return v;
  }

  std::vector<float> Pixels(const Json& sample) {
    std::vector<float> pixels(model_->ImageFloats());
    const auto number = 0xFFFFFFF0u - sample.at("image").get<uint32_t>();
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = 4 * DrawGolden(golden_.at("seed"), number, i);
    return pixels;
  }

  // The largest difference of row p from what the golden file keeps of it.
  static double Difference(const float* row, int64_t width, int64_t p, const Json& kept) {
    double worst = 0;
    const auto n = static_cast<int64_t>(kept.size());
    for (int64_t i = 0; i < n; ++i) {
      worst = std::max(worst, std::abs(row[(i * width / n + p) % width] - kept.at(i).get<double>()));
    }
    return worst;
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
      const double d = Difference(features[p], features.width, p, sample.at("features").at(p));
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
    const double d = Difference(logits[0], logits.width, 0, sample.at("logits"));
    logits_worst = std::max(logits_worst, d / sample.at("largest_logit").get<double>());
  }
  RecordProperty("features", fmt::format("{:.2e}", features_worst));
  RecordProperty("logits", fmt::format("{:.2e}", logits_worst));
  EXPECT_LE(features_worst, kBound);
  EXPECT_LE(logits_worst, kBound);
}

TEST_P(OpenVlaGoldenTest, ActionTokensAreThoseOfTheReferenceWithAndWithoutTheConstraint) {
  const ActionTokenizer actions(golden_.at("vocab_end"));
  for (const Json& sample : golden_.at("samples")) {
    EXPECT_EQ(Act(sample, {.greedy = true, .allowed_tokens = {actions.ids()}}),
              sample.at("actions").get<std::vector<int32_t>>());
    EXPECT_EQ(Act(sample, {.greedy = true}), sample.at("unconstrained").get<std::vector<int32_t>>());
  }
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
