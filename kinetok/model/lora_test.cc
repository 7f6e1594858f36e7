#include "kinetok/model/lora.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/checkpoint.h"
#include "kinetok/io/safetensors.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/model.h"
#include "kinetok/model/presets.h"
#include "kinetok/model/test_models.h"
#include "kinetok/model/training_pass.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string ErrorOf(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

class LoraTest : public ::testing::Test {
 protected:
  LoraTest() : dir_(fs::temp_directory_path() / fmt::format("kinetok_lora_{}", getpid())), context_(2, BestIsa()) {
    config_ = Preset("tiny-llama");
    config_.vocab_size = 40;
    fs::create_directories(dir_);
  }
  ~LoraTest() override { fs::remove_all(dir_); }

  // An adapter whose parts are all drawn, B included.
  static std::vector<float> DrawAdapter(const LoraList& lora, double deviation) {
    std::vector<float> values(static_cast<size_t>(lora.elements));
    FillNormal(9, RandomStream::kTest, 0, 0, deviation, values);
    return values;
  }
  std::vector<float> Logits(const Model& model) {
    KvCache cache(model.config());
    const int sequence = cache.NewSequence();
    std::vector<BatchRow> rows;
    for (const int32_t token : {3, 1, 4, 1, 5, 9, 2, 6}) rows.push_back({token, sequence, true});
    Workspace workspace;
    const Rows<const float> out = model.Forward(context_, rows, cache, workspace);
    return {out.data, out.data + out.rows * out.width};
  }
  static double Distance(const std::vector<float>& a, const std::vector<float>& b) {
    double most = 0;
    for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
    return most;
  }

  fs::path dir_;
  Context context_;
  ModelConfig config_;
};

TEST_F(LoraTest, ANewAdapterChangesNothingAndADrawnOneAddsTheProductOfItsParts) {
  const ParameterList list(config_);
  const LoraList lora(config_, list, {.rank = 3, .alpha = 6});
  ASSERT_EQ(lora.modules.size(), static_cast<size_t>(7 * config_.num_hidden_layers));
  const std::vector<float> base = DrawParameters(list, 4);
  std::vector<float> weights = base, adapter(static_cast<size_t>(lora.elements));
  InitializeLora(lora, 5, adapter);
  AddLora(context_, lora, adapter, list, weights);
  EXPECT_EQ(weights, base);
  double squares = 0;
  for (int64_t i = 0; i < 3 * lora.modules[0].columns; ++i) squares += std::pow(adapter[lora.modules[0].a + i], 2);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(3 * lora.modules[0].columns)), 1.0 / 3, 0.08);

  adapter = DrawAdapter(lora, 0.1);
  AddLora(context_, lora, adapter, list, weights);
  std::vector<double> expected(base.begin(), base.end());
  for (const LoraModule& m : lora.modules) {
    for (int64_t r = 0; r < m.rows; ++r) {
      for (int64_t c = 0; c < m.columns; ++c) {
        double sum = 0;
        for (int64_t k = 0; k < 3; ++k) {
          sum += static_cast<double>(adapter[m.b + r * 3 + k]) * adapter[m.a + k * m.columns + c];
        }
        expected[list.all[m.parameter].offset + (m.first_row + r) * m.columns + c] += 2 * sum;
      }
    }
  }
  for (size_t i = 0; i < weights.size(); ++i) ASSERT_NEAR(weights[i], expected[i], 1e-6) << i;
  EXPECT_NE(weights, base);
}

TEST_F(LoraTest, ItsGradientIsTheDerivativeOfTheLoss) {
  const ParameterList list(config_);
  const LoraList lora(config_, list, {.rank = 2, .alpha = 3, .targets = {"v_proj", "mlp.down_proj"}});
  const std::vector<float> base = DrawParameters(list, 4);
  std::vector<float> adapter = DrawAdapter(lora, 0.3);
  const std::vector<int32_t> tokens = {3, 1, 4, 1, 5, 9, 2, 6}, labels = {1, 4, 1, 5, 9, 2, 6, 5}, lengths = {8};
  const std::vector<float> ones(8, 1.0f);
  const std::vector<uint64_t> keys = {0};
  const TrainingBatch batch{tokens, labels, ones, lengths, keys};
  TrainingPass pass(config_, list, {.max_rows = 8, .max_sequences = 1, .max_length = 8, .dropout = false});
  std::vector<float> losses(8), dense(static_cast<size_t>(list.elements)), got(static_cast<size_t>(lora.elements));
  const auto loss = [&] {
    std::vector<float> weights = base;
    AddLora(context_, lora, adapter, list, weights);
    pass.Forward(context_, weights, batch, losses);
    double sum = 0;
    for (const float l : losses) sum += l;
    return sum;
  };
  std::vector<float> weights = base;
  AddLora(context_, lora, adapter, list, weights);
  pass.ForwardBackward(context_, weights, batch, 0, losses, dense);
  pass.Finish(context_, dense);
  LoraGradients(context_, lora, adapter, list, dense, got);
  // Central differences of a loss of about 30 in f32: its rounding over the step, and the third derivative's share.
  constexpr float kStep = 2e-2f;
  for (int64_t i = 0; i < lora.elements; i += 37) {
    const float was = adapter[i];
    adapter[i] = was + kStep;
    const double above = loss();
    adapter[i] = was - kStep;
    const double below = loss();
    adapter[i] = was;
    EXPECT_NEAR(got[i], (above - below) / (2 * static_cast<double>(kStep)), 2e-3 + 0.02 * std::abs(got[i])) << i;
  }
}

TEST_F(LoraTest, BesideTheWeightsAndMergedIntoThemItGivesTheSameLogitsUpToTheirRounding) {
  const ParameterList list(config_);
  SaveCheckpoint(dir_ / "base", config_, DrawParameters(list, 4), nullptr, DType::kF32);
  SaveCheckpoint(dir_ / "base16", config_, DrawParameters(list, 4), nullptr, DType::kBF16);
  const LoraList lora(config_, list, {.rank = 4, .alpha = 8});
  SaveAdapter(dir_, lora, DrawAdapter(lora, 0.05), "base");
  const auto load = [&](const char* base, bool adapted, bool merged) {
    return Logits(*Model::Load(
        context_, dir_ / base,
        {.tokenizer = TokenizerUse::kNone, .adapter = adapted ? dir_ : fs::path(), .merge_adapter = merged}));
  };
  const auto plain = load("base", false, false), beside = load("base", true, false), merged = load("base", true, true);
  const double effect = Distance(plain, beside);
  EXPECT_GT(effect, 0.05);
  EXPECT_LT(Distance(beside, merged), 2e-5);
  // In bf16 the merged weights are rounded to 8 bits: close, and visibly not the same.
  const auto beside16 = load("base16", true, false), merged16 = load("base16", true, true);
  EXPECT_GT(Distance(beside16, merged16), 1e-4);
  EXPECT_LT(Distance(beside16, merged16), 0.5 * effect);
}

TEST_F(LoraTest, EveryKindOfModuleIsAppliedVisionTowersAndHeadIncluded) {
  const NamedConfig vision = TestVisionModel();
  const ParameterList list(vision.config);
  const LoraList lora(vision.config, list, {.rank = 2, .alpha = 2});
  std::vector<float> base = DrawParameters(list, 4), adapter = DrawAdapter(lora, 0.2);
  SaveCheckpoint(dir_ / "base", vision.config, base, nullptr, DType::kF32);
  SaveAdapter(dir_, lora, adapter, "base");
  AddLora(context_, lora, adapter, list, base);
  const auto merged = Model::FromParameters(context_, vision.config, base, DType::kF32, nullptr);
  const auto beside = Model::Load(context_, dir_ / "base", {.tokenizer = TokenizerUse::kNone, .adapter = dir_});
  std::vector<float> pixels(static_cast<size_t>(merged->ImageFloats()));
  FillNormal(3, RandomStream::kTest, 1, 0, 1, pixels);
  const auto features = [&](const Model& model) {
    Workspace workspace;
    const Rows<const float> out = model.EncodeImages(context_, pixels, workspace);
    return std::vector<float>(out.data, out.data + out.rows * out.width);
  };
  const auto a = features(*merged), b = features(*beside);
  double largest = 0;
  for (const float x : a) largest = std::max(largest, std::abs(static_cast<double>(x)));
  EXPECT_LT(Distance(a, b), 2e-5 * largest);
  EXPECT_LT(Distance(Logits(*merged), Logits(*beside)), 1e-3);
  int convolutions = 0, heads = 0;
  for (const LoraModule& m : lora.modules) {
    convolutions += m.a_shape.size() == 4 ? 1 : 0;
    heads += m.name.ends_with("lm_head") ? 1 : 0;
  }
  EXPECT_EQ(convolutions, static_cast<int>(vision.config.towers.size()));
  EXPECT_EQ(heads, 1);
}

// What PEFT 0.11.1 makes of openvla-7b with target_modules "all-linear" and r 32.
TEST_F(LoraTest, AllLinearLayersOfOpenVla7bAreThoseThatPeftCounts) {
  const ModelConfig config = ParseModelConfig(ParseJson(R"({
    "model_type": "openvla", "arch_specifier": "no-align+fused-gelu-mlp", "use_fused_vision_backbone": true,
    "timm_model_ids": ["vit_large_patch14_reg4_dinov2.lvd142m", "vit_so400m_patch14_siglip_224"],
    "image_sizes": [224, 224], "text_config": {"model_type": "llama", "vocab_size": 32064}})",
                                                        "config.json"),
                                              "config.json");
  const LoraList lora(config, ParameterList(config), {.rank = 32});
  EXPECT_EQ(lora.modules.size(), 439u);
  EXPECT_EQ(lora.elements, 110'828'288);
}

TEST_F(LoraTest, FilesHavePeftsNamesAndShapesAndAreReadBack) {
  const ParameterList list(config_);
  const LoraList lora(config_, list, {.rank = 4, .alpha = 8, .targets = {"q_proj", "up_proj"}});
  const std::vector<float> values = DrawAdapter(lora, 0.1);
  SaveAdapter(dir_, lora, values, "some/base");
  const Checkpoint file(dir_ / "adapter_model.safetensors");
  const TensorData* a = file.Find("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight");
  const TensorData* b = file.Find("base_model.model.model.layers.1.mlp.up_proj.lora_B.weight");
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(a->info->shape, (std::vector<int64_t>{4, config_.hidden_size}));
  EXPECT_EQ(b->info->shape, (std::vector<int64_t>{config_.intermediate_size, 4}));
  const Adapter read = LoadAdapter(dir_, config_, list);
  EXPECT_EQ(read.values, values);
  EXPECT_EQ(read.lora.options.scale(), 2);
}

TEST_F(LoraTest, WhatCannotBeUsedIsRefusedByName) {
  const ParameterList list(config_);
  const LoraList lora(config_, list, {.rank = 4, .alpha = 8, .targets = {"q_proj"}});
  SaveAdapter(dir_, lora, DrawAdapter(lora, 0.1), "base");
  const std::string good = ReadFile(dir_ / "adapter_config.json");
  const auto fault = [&](const std::string& key, const Json& value) {
    Json json = Json::parse(good);
    json[key] = value;
    WriteFileAtomically(dir_ / "adapter_config.json", json.dump());
    std::string message = ErrorOf([&] { LoadAdapter(dir_, config_, list); });
    WriteFileAtomically(dir_ / "adapter_config.json", good);
    return message;
  };
  EXPECT_THAT(fault("use_dora", true), HasSubstr("field \"use_dora\" asks for DoRA, which is not supported"));
  EXPECT_THAT(fault("peft_type", "IA3"), HasSubstr("\"peft_type\" is \"IA3\""));
  EXPECT_THAT(fault("bias", "all"), HasSubstr("trained biases"));
  for (const char* start : {"pissa", "pissa_niter_16", "olora", "corda", "loftq"}) {
    EXPECT_THAT(fault("init_lora_weights", start), HasSubstr("which changes the weights beside the adapter"));
  }
  for (const Json& start : {Json(true), Json(false), Json("gaussian"), Json()}) {
    EXPECT_EQ(fault("init_lora_weights", start), "no error");
  }
  EXPECT_THAT(fault("modules_to_save", {"lm_head"}), HasSubstr("\"modules_to_save\""));
  EXPECT_THAT(fault("rank_pattern", {{"q_proj", 2}}), HasSubstr("\"rank_pattern\""));
  EXPECT_THAT(fault("alpha_pattern", {{"q_proj", 2}}), HasSubstr("\"alpha_pattern\""));
  EXPECT_THAT(fault("r", 8), AllOf(HasSubstr("lora_A.weight\" has shape [4, "), HasSubstr("expected [8, ")));
  EXPECT_THAT(fault("r", 0), HasSubstr("\"r\""));
  EXPECT_THAT(fault("lora_alpha", "x"), HasSubstr("\"lora_alpha\""));
  EXPECT_THAT(ErrorOf([&] { LoraList(config_, list, {.targets = {"c_attn"}}); }),
              HasSubstr("lora_targets names \"c_attn\", which no linear layer of a llama is called"));
  ModelConfig gpt2 = Preset("tiny");
  gpt2.vocab_size = 40;
  EXPECT_THAT(ErrorOf([&] { LoadAdapter(dir_, gpt2, ParameterList(gpt2)); }),
              HasSubstr("model.layers.0.self_attn.q_proj"));
  fs::remove(dir_ / "adapter_model.safetensors");
  EXPECT_THAT(ErrorOf([&] { LoadAdapter(dir_, config_, list); }), HasSubstr("holds no adapter_model.safetensors"));
  EXPECT_THAT(ErrorOf([&] { LoadAdapter(dir_ / "none", config_, list); }), HasSubstr("holds no adapter_config.json"));
}

}  // namespace
}  // namespace kinetok
