// The layout of openvla-7b: its list of tensors, and a checkpoint of that list with narrow layers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/safetensors.h"
#include "kinetok/model/model.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// config.json of openvla/openvla-7b, without norm_stats. What is absent from text_config is Llama 2 7B's.
Json OpenVla7b() {
  return {{"model_type", "openvla"},
          {"arch_specifier", "no-align+fused-gelu-mlp"},
          {"vision_backbone_id", "dinosiglip-vit-so-224px"},
          {"llm_backbone_id", "llama2-7b-pure"},
          {"hf_llm_id", "meta-llama/Llama-2-7b-hf"},
          {"image_resize_strategy", "resize-naive"},
          {"image_sizes", {224, 224}},
          {"timm_model_ids", {"vit_large_patch14_reg4_dinov2.lvd142m", "vit_so400m_patch14_siglip_224"}},
          {"timm_override_act_layers", {nullptr, nullptr}},
          {"use_fused_vision_backbone", true},
          {"llm_max_length", 2048},
          {"n_action_bins", 256},
          {"pad_token_id", 32000},
          {"pad_to_multiple_of", 64},
          {"torch_dtype", "bfloat16"},
          {"text_config", {{"model_type", "llama"}, {"vocab_size", 32064}, {"pad_token_id", 32000}}}};
}

int64_t Elements(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

TEST(OpenVlaLayoutTest, HasTheTensorsAndTheParametersOfThePublishedModel) {
  const ModelConfig config = ParseModelConfig(OpenVla7b(), "config.json");
  std::map<std::string, int64_t> parameters;  // by the first parts of the name
  std::set<std::string> names;
  for (const PublishedTensor& t : PublishedTensors(config, ParameterList(config))) {
    EXPECT_TRUE(names.insert(t.name).second) << t.name;
    const size_t dot = t.name.find('.');
    const bool vision = t.name.starts_with("vision_backbone.");
    parameters[t.name.substr(0, vision ? t.name.find('.', dot + 1) : dot)] += Elements(t.shape);
  }
  EXPECT_EQ(names.size(), 982u);
  EXPECT_EQ(parameters["vision_backbone.featurizer"], 303230976);
  EXPECT_EQ(parameters["vision_backbone.fused_featurizer"], 427680704);
  EXPECT_EQ(parameters["projector"], 71385600);
  EXPECT_EQ(parameters["language_model"], 6738939904);
}

TEST(OpenVlaLayoutTest, TheConfigurationIsWrittenAsItWasRead) {
  const Json json = OpenVla7b();
  const ModelConfig config = ParseModelConfig(json, "config.json");
  const OrderedJson written = ModelConfigToJson(config, "bfloat16");
  EXPECT_EQ(ParseModelConfig(Json(written), "written"), config);
  for (const auto& [key, value] : json.items()) {
    if (key != "text_config") {
      EXPECT_EQ(Json(written.at(key)), value) << key;
    }
  }
  EXPECT_FALSE(written.contains("kinetok_vision"));
}

TEST(OpenVlaLayoutTest, OtherBackbonesAreRefusedByName) {
  const auto error_with = [](const std::string& key, const Json& value) -> std::string {
    Json json = OpenVla7b();
    json[key] = value;
    try {
      ParseModelConfig(json, "config.json");
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(
      error_with("timm_model_ids", {"vit_large_patch14_reg4_dinov2.lvd142m", "vit_large_patch14_clip_336.openai"}),
      HasSubstr("vit_large_patch14_clip_336.openai"));
  EXPECT_THAT(error_with("image_sizes", {0, 224}), HasSubstr("\"image_sizes\" is 0"));
  EXPECT_THAT(error_with("image_sizes", {224, 384}), HasSubstr("\"image_sizes\" is 384"));
  EXPECT_THAT(error_with("arch_specifier", "no-align+linear"), HasSubstr("no-align+linear"));
  EXPECT_THAT(error_with("use_fused_vision_backbone", false), HasSubstr("expected 1"));
  EXPECT_THAT(error_with("text_config", {{"model_type", "mistral"}}), HasSubstr("\"mistral\""));
}

// The 982 tensors with narrow layers: the depths are openvla-7b's.
class NarrowOpenVlaTest : public ::testing::Test {
 protected:
  NarrowOpenVlaTest() : dir_(fs::temp_directory_path() / fmt::format("kinetok_narrow_{}", getpid())) {
    fs::create_directories(dir_);
    Json json = OpenVla7b();
    json["image_sizes"] = {28, 28};
    json["timm_model_ids"] = {"narrow_dino", "narrow_siglip"};
    json["kinetok_vision"] = {{"featurizer",
                               {{"image_size", 28},
                                {"patch_size", 14},
                                {"embed_dim", 16},
                                {"depth", 24},
                                {"num_heads", 2},
                                {"class_token", true},
                                {"reg_tokens", 4},
                                {"layer_scale", true}}},
                              {"fused_featurizer",
                               {{"image_size", 28},
                                {"patch_size", 14},
                                {"embed_dim", 12},
                                {"depth", 27},
                                {"num_heads", 2},
                                {"mlp_hidden_dim", 20},
                                {"attn_pool", true}}}};
    json["text_config"] = {{"vocab_size", 384},
                           {"hidden_size", 16},
                           {"intermediate_size", 24},
                           {"num_attention_heads", 2},
                           {"num_key_value_heads", 2}};
    config_ = ParseModelConfig(json, "config.json");
    WriteFileAtomically(dir_ / "config.json", json.dump());
    for (const PublishedTensor& t : PublishedTensors(config_, ParameterList(config_))) {
      specs_.push_back({t.name, DType::kBF16, t.shape});
    }
  }
  ~NarrowOpenVlaTest() override { fs::remove_all(dir_); }

  // Empty when it loads.
  std::string LoadError(const std::vector<TensorSpec>& specs) {
    SafetensorsWriter writer(dir_ / "model.safetensors", specs);
    for (const TensorSpec& t : writer.tensors()) writer.Write(t.name, std::vector<float>(Elements(t.shape), 0.5f));
    writer.Commit();
    Context context(1, BestIsa());
    try {
      Model::Load(context, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  size_t Place(std::string_view name) const {
    const auto it = std::find_if(specs_.begin(), specs_.end(), [&](const TensorSpec& t) { return t.name == name; });
    EXPECT_NE(it, specs_.end()) << name;
    return static_cast<size_t>(it - specs_.begin());
  }

  fs::path dir_;
  ModelConfig config_;
  std::vector<TensorSpec> specs_;
};

TEST_F(NarrowOpenVlaTest, Loads) {
  EXPECT_EQ(specs_.size(), 982u);
  EXPECT_EQ(LoadError(specs_), "");
}

TEST_F(NarrowOpenVlaTest, ADescribedTowerNeedsImagesOfSomeSize) {
  Json json = ParseJson(ReadFile(dir_ / "config.json"), "config.json");
  for (const int64_t size : {int64_t{0}, int64_t{-28}, int64_t{1} << 40}) {
    json["image_sizes"] = {size, 28};
    json["kinetok_vision"]["featurizer"].erase("image_size");
    try {
      ParseModelConfig(json, "config.json");
      ADD_FAILURE() << size;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr(fmt::format("\"image_sizes\" holds {}", size)));
    }
  }
}

TEST_F(NarrowOpenVlaTest, TheNamesOfTimmAndOfNativeCheckpointsAreReadToo) {
  specs_[Place("vision_backbone.featurizer.blocks.0.ls1.scale_factor")].name =
      "vision_backbone.featurizer.blocks.0.ls1.gamma";
  specs_[Place("projector.fc2.weight")].name = "projector.2.weight";
  EXPECT_EQ(LoadError(specs_), "");
}

TEST_F(NarrowOpenVlaTest, ATensorThatIsMissingMisnamedOrMisshapenIsNamed) {
  std::vector<size_t> places = {0, 290, 291, 600, 633, 958, 981};
  for (const std::string_view name :
       {"vision_backbone.featurizer.blocks.0.ls1.scale_factor", "vision_backbone.featurizer.blocks.23.norm1.bias",
        "vision_backbone.fused_featurizer.attn_pool.latent", "projector.fc3.bias",
        "language_model.model.norm.weight"}) {
    places.push_back(Place(name));
  }
  for (const size_t i : places) {
    std::vector<TensorSpec> without = specs_, misnamed = specs_, misshapen = specs_;
    without.erase(without.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_THAT(LoadError(without), HasSubstr(fmt::format("tensor \"{}\" is missing", specs_[i].name)));
    misnamed[i].name += "s";
    EXPECT_THAT(LoadError(misnamed), HasSubstr(specs_[i].name));
    misshapen[i].shape.back() += 1;
    EXPECT_THAT(LoadError(misshapen), HasSubstr(fmt::format("\"{}\" has shape", specs_[i].name)));
  }
}

}  // namespace
}  // namespace kinetok
