// The layout of openvla-7b: its list of tensors, and a checkpoint of that list with narrow layers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/safetensors.h"
#include "kinetok/model/convert.h"
#include "kinetok/model/golden_models.h"
#include "kinetok/model/model.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/vla/image_config.h"
#include "kinetok/vla/policy.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
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
    json["norm_stats"] = {{"toy", {{"action", {{"q01", {-1, -2, -3}}, {"q99", {1, 2, 3}}}}}}};
    json["kinetok_vla"] = {{"separator_token_id", 32}};
    json["text_config"] = {{"vocab_size", kTextIds + 256 + 64}, {"bos_token_id", kTextIds - 1},
                           {"eos_token_id", kTextIds - 1},      {"hidden_size", 16},
                           {"intermediate_size", 24},           {"num_attention_heads", 2},
                           {"num_key_value_heads", 2}};
    config_ = ParseModelConfig(json, "config.json");
    WriteFileAtomically(dir_ / "config.json", json.dump());
    for (const PublishedTensor& t : PublishedTensors(config_, ParameterList(config_))) {
      specs_.push_back({t.name, DType::kBF16, t.shape});
    }
  }
  ~NarrowOpenVlaTest() override { fs::remove_all(dir_); }

  // Every tensor has values of its own, drawn by its place in `specs`.
  void Write(const std::vector<TensorSpec>& specs) {
    std::map<std::string, uint32_t> places;
    for (const TensorSpec& t : specs) places.emplace(t.name, static_cast<uint32_t>(places.size()));
    SafetensorsWriter writer(dir_ / "model.safetensors", specs);
    for (const TensorSpec& t : writer.tensors()) {
      std::vector<float> values(static_cast<size_t>(Elements(t.shape)));
      for (size_t i = 0; i < values.size(); ++i) values[i] = DrawGolden(1, places.at(t.name), i);
      writer.Write(t.name, values);
    }
    writer.Commit();
  }

  // What the checkpoint gives for an image: its features, after every tensor of the towers and the projector that runs.
  std::vector<float> Features() {
    Context context(1, BestIsa());
    const auto model = Model::Load(context, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
    std::vector<float> pixels(static_cast<size_t>(model->ImageFloats()));
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = DrawGolden(2, 0, i);
    Workspace workspace;
    const Rows<const float> rows = model->EncodeImages(context, pixels, workspace);
    return {rows.data, rows.data + rows.rows * rows.width};
  }

  // Empty when it loads.
  std::string LoadError(const std::vector<TensorSpec>& specs) {
    Write(specs);
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

  static constexpr int64_t kTextIds = 257;
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
  Write(specs_);
  const std::vector<float> features = Features();
  int64_t scales = 0, layers = 0;
  for (TensorSpec& t : specs_) {
    constexpr std::string_view kScale = "scale_factor", kProjector = "projector.fc";
    if (t.name.ends_with(kScale)) {
      t.name.replace(t.name.size() - kScale.size(), kScale.size(), "gamma");
      ++scales;
    } else if (t.name.starts_with(kProjector)) {  // fc1, fc2, fc3 are 0, 2, 4 of a torch.nn.Sequential
      const int layer = t.name[kProjector.size()] - '1';
      t.name = fmt::format("projector.{}{}", 2 * layer, t.name.substr(kProjector.size() + 1));
      ++layers;
    }
  }
  EXPECT_EQ(scales, 48);
  EXPECT_EQ(layers, 6);
  Write(specs_);
  EXPECT_EQ(Features(), features);
  // The values are what tells one tensor from another: two that change places are seen.
  std::swap(specs_[Place("vision_backbone.featurizer.blocks.0.ls1.gamma")].name,
            specs_[Place("vision_backbone.featurizer.blocks.0.ls2.gamma")].name);
  Write(specs_);
  EXPECT_NE(Features(), features);
}

TEST_F(NarrowOpenVlaTest, InShardsItActsAsItDoesInOneFile) {
  Write(specs_);
  BytesBpeTrainer trainer({.vocab_size = kTextIds});
  trainer.Add("a");
  trainer.Train()->Save(dir_);
  WriteFileAtomically(dir_ / "preprocessor_config.json", ImageProcessorConfigToJson(OpenVlaImages(28)).dump());
  const fs::path shards = dir_ / "shards";
  ConvertModel(dir_, shards, {.max_shard_bytes = 100000});
  EXPECT_FALSE(fs::exists(shards / "model.safetensors"));
  const Json index = ParseJson(ReadFile(shards / "model.safetensors.index.json"), "index");
  EXPECT_EQ(index.at("weight_map").size(), 982u);
  std::set<std::string> files;
  for (const Json& file : index.at("weight_map")) files.insert(file.get<std::string>());
  EXPECT_GE(files.size(), 3u);
  std::vector<uint8_t> pixels(40 * 30 * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * i * 7 % 251);
  const auto act = [&](const fs::path& dir) {
    ActionTrace trace;
    const Action a = Policy(dir, {.threads = 1, .isa = "auto"})
                         .Act({pixels.data(), 40, 30, 120, ChannelOrder::kRgb}, "reach", {.trace = &trace});
    return std::tuple(a.tokens, a.values, trace.patch_features, trace.logits);
  };
  EXPECT_EQ(std::get<0>(act(shards)).size(), 3u);
  EXPECT_EQ(act(shards), act(dir_));
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
    const std::string& name = specs_[i].name;
    const std::string missing = fmt::format(": tensor \"{}\" is missing, which config.json asks for", name);
    std::vector<TensorSpec> without = specs_, misnamed = specs_, misshapen = specs_, more = specs_;
    without.erase(without.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_THAT(LoadError(without), EndsWith(missing));
    misnamed[i].name += "s";
    EXPECT_THAT(LoadError(misnamed), EndsWith(missing));
    more.push_back({name + "s", DType::kBF16, specs_[i].shape});
    EXPECT_THAT(LoadError(more),
                EndsWith(fmt::format(": tensor \"{}s\" is not part of this model (model_type \"openvla\")", name)));
    misshapen[i].shape.back() += 1;
    EXPECT_THAT(LoadError(misshapen), HasSubstr(fmt::format(": tensor \"{}\" has shape", name)));
  }
}

}  // namespace
}  // namespace kinetok
