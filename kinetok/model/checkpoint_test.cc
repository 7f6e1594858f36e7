#include "kinetok/model/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/safetensors.h"
#include "kinetok/model/model.h"
#include "kinetok/model/test_models.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    dir_ = fs::temp_directory_path() / fmt::format("kinetok_checkpoint_{}_{}", getpid(),
                                                   ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(dir_);
  }
  ~CheckpointTest() override { fs::remove_all(dir_); }

  // Rewrites model.safetensors with the tensors that `edit` leaves.
  void Rewrite(const ModelConfig& config, const std::function<void(std::vector<TensorSpec>&)>& edit) {
    const ParameterList list(config);
    std::vector<TensorSpec> specs;
    for (const PublishedTensor& t : PublishedTensors(config, list)) specs.push_back({t.name, DType::kF32, t.shape});
    edit(specs);
    SafetensorsWriter writer(dir_ / "model.safetensors", specs);
    for (const TensorSpec& s : writer.tensors()) {
      int64_t n = 1;
      for (const int64_t d : s.shape) n *= d;
      writer.Write(s.name, std::vector<float>(n, 0.25f));
    }
    writer.Commit();
  }
  std::string LoadError() {
    Context context(1, BestIsa());
    try {
      Model::Load(context, dir_, {.require_tokenizer = false});
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  void Write(const char* name, const std::string& text) { std::ofstream(dir_ / name) << text; }

  fs::path dir_;
};

TEST_F(CheckpointTest, WhatIsSavedIsWhatIsLoaded) {
  for (const NamedConfig& named : TestConfigs()) {
    if (named.config.masks.size() > 1) continue;
    const ParameterList list(named.config);
    const std::vector<float> flat = DrawParameters(list, 2);
    SaveCheckpoint(dir_, named.config, flat, nullptr, DType::kF32);
    const ModelConfig config = LoadDirectoryConfig(dir_);
    EXPECT_EQ(config, named.config) << named.name;
    std::vector<float> loaded(list.elements);
    LoadParameters(dir_, config, list, loaded);
    EXPECT_EQ(std::memcmp(loaded.data(), flat.data(), flat.size() * 4), 0) << named.name;

    Context context(2, BestIsa());
    const auto a = Model::Load(context, dir_, {.require_tokenizer = false});
    const auto b = Model::FromParameters(context, named.config, flat, DType::kF32, nullptr);
    const auto logits = [&](const Model& m) {
      KvCache cache(m.config());
      Workspace workspace;
      const int s = cache.NewSequence();
      const std::vector<BatchRow> rows = {{3, s, false}, {7, s, false}, {11, s, true}};
      const Rows<const float> l = m.Forward(context, rows, cache, workspace);
      return std::vector<float>(l.data, l.data + l.width);
    };
    EXPECT_EQ(logits(*a), logits(*b)) << named.name;
  }
}

TEST_F(CheckpointTest, HalfPrecisionRoundsOnceAndKeepsItsType) {
  const ModelConfig config = Preset("tiny-llama");
  const ParameterList list(config);
  const std::vector<float> flat = DrawParameters(list, 2);
  SaveCheckpoint(dir_, config, flat, nullptr, DType::kBF16);
  std::vector<float> loaded(list.elements);
  LoadParameters(dir_, config, list, loaded);
  for (const Parameter& p : list.all) {
    for (int64_t e = p.offset; e < p.offset + p.elements(); ++e) {
      ASSERT_EQ(loaded[e], BF16ToF32(F32ToBF16(flat[e]))) << p.name;
    }
  }
}

TEST_F(CheckpointTest, NamesTheTensorThatIsMissingMisshapenOrSurplus) {
  const ModelConfig config = Preset("tiny");
  const ParameterList list(config);
  SaveCheckpoint(dir_, config, DrawParameters(list, 2), nullptr, DType::kF32);
  Rewrite(config, [](auto& specs) { specs.erase(specs.begin() + 5); });
  EXPECT_THAT(LoadError(), HasSubstr("transformer.h.0.attn.c_attn.bias\" is missing"));
  Rewrite(config, [](auto& specs) { specs[4].shape = {64, 190}; });
  EXPECT_THAT(LoadError(), HasSubstr("has shape [64, 190], expected [64, 192]"));
  Rewrite(config, [](auto& specs) { specs.push_back({"transformer.h.0.extra", DType::kF32, {2}}); });
  EXPECT_THAT(LoadError(), HasSubstr("transformer.h.0.extra\" is not part of this model"));
  Rewrite(config, [](auto& specs) { specs.push_back({"transformer.h.0.attn.bias", DType::kF32, {1, 1, 2, 2}}); });
  EXPECT_EQ(LoadError(), "no error");
  Rewrite(config, [](auto& specs) { specs.push_back({"lm_head.weight", DType::kF32, {512, 64}}); });
  EXPECT_EQ(LoadError(), "no error");  // equal to the embedding it is tied to
  Rewrite(config, [](auto& specs) { specs.push_back({"wte.weight", DType::kF32, {512, 64}}); });
  EXPECT_THAT(LoadError(), HasSubstr("are the same tensor"));
}

TEST_F(CheckpointTest, AcceptsTheFirstReleasesNamesWithoutPrefix) {
  const ModelConfig config = Preset("tiny");
  SaveCheckpoint(dir_, config, DrawParameters(ParameterList(config), 2), nullptr, DType::kF32);
  Rewrite(config, [](auto& specs) {
    for (TensorSpec& s : specs) s.name = s.name.substr(std::string("transformer.").size());
  });
  EXPECT_EQ(LoadError(), "no error");
}

TEST_F(CheckpointTest, RefusesFoldersThatAreNoModels) {
  EXPECT_THAT(LoadError(), HasSubstr("is not a model directory"));
  fs::create_directories(dir_);
  EXPECT_THAT(LoadError(), HasSubstr("config.json"));
  Write("config.json", "{\"model_type\": \"gpt2\", ");
  EXPECT_THAT(LoadError(), HasSubstr("not valid JSON"));
  const ModelConfig config = Preset("tiny");
  SaveConfig(dir_, config, DType::kF32);
  EXPECT_THAT(LoadError(), HasSubstr("model.safetensors"));
  // A config.json that lies about its weights.
  SaveCheckpoint(dir_, config, DrawParameters(ParameterList(config), 2), nullptr, DType::kF32);
  ModelConfig lie = config;
  lie.intermediate_size = 250;
  SaveConfig(dir_, lie, DType::kF32);
  EXPECT_THAT(LoadError(), HasSubstr("expected [64, 250]"));
}

TEST_F(CheckpointTest, GenerationConfigGoesBeforeConfig) {
  ModelConfig config = Preset("tiny");
  config.eos_token_ids = {1};
  SaveCheckpoint(dir_, config, DrawParameters(ParameterList(config), 2), nullptr, DType::kF32);
  Write("generation_config.json", R"({"eos_token_id": [5, 6]})");
  EXPECT_THAT(LoadDirectoryConfig(dir_).eos_token_ids, ::testing::ElementsAre(5, 6));
}

}  // namespace
}  // namespace kinetok
