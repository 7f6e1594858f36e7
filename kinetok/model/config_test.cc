#include "kinetok/model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinetok/base/error.h"
#include "kinetok/base/json.h"
#include "kinetok/model/config_cases.h"
#include "kinetok/model/parameters.h"
#include "kinetok/model/presets.h"
#include "kinetok/model/test_models.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(const std::string& text) {
  try {
    ParseModelConfig(ParseJson(text, "config.json"), "config.json");
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(ModelConfigTest, ReadsGpt2WithItsDefaults) {
  const ModelConfig c = ParseModelConfig(ParseJson(Gpt2With(""), "x"), "x");
  EXPECT_EQ(c.intermediate_size, 48);
  EXPECT_EQ(c.head_dim, 4);
  EXPECT_EQ(c.activation, Activation::kGeluTanh);
  EXPECT_TRUE(c.tie_word_embeddings);
  EXPECT_DOUBLE_EQ(c.norm_eps, 1e-5);
}

TEST(ModelConfigTest, SurvivesAWriteAndARead) {
  for (const NamedConfig& named : AllTestConfigs()) {
    ModelConfig config = named.config;
    for (const double p : {0.0, 0.25}) {
      config.embd_pdrop = config.attn_pdrop = config.resid_pdrop = p;
      const Json json = Json::parse(ModelConfigToJson(config, "float32").dump());
      EXPECT_EQ(ParseModelConfig(json, "x"), config) << named.name;
    }
  }
}

TEST(ModelConfigTest, ReadsBothSpellingsOfRopeTheta) {
  const std::string base = R"({"model_type": "llama", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1,
      "num_attention_heads": 2, "intermediate_size": 32)";
  const auto theta = [&](const std::string& more) {
    return ParseModelConfig(ParseJson(base + more + "}", "x"), "x").rope_theta;
  };
  EXPECT_EQ(theta(""), 10000);
  EXPECT_EQ(theta(R"(, "rope_theta": 500000.0)"), 500000);
  EXPECT_EQ(theta(R"(, "rope_parameters": {"rope_type": "default", "rope_theta": 1234.0})"), 1234);
  EXPECT_THAT(ErrorOf(base + R"(, "rope_scaling": {"type": "yarn", "factor": 2.0}})"), HasSubstr("\"yarn\""));
  EXPECT_THAT(ErrorOf(base + R"(, "rope_scaling": {"type": "linear"}})"), HasSubstr("\"factor\" is missing"));
  EXPECT_THAT(ErrorOf(base + R"(, "rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
                          "high_freq_factor": 1, "original_max_position_embeddings": 64}})"),
              HasSubstr("\"high_freq_factor\" is 1"));
  EXPECT_THAT(ErrorOf(base + R"(, "num_key_value_heads": 3})"), HasSubstr("num_key_value_heads"));
}

TEST(ModelConfigTest, ReadsBothSpellingsOfGptNeosLayers) {
  const std::string base = R"({"model_type": "gpt_neo", "vocab_size": 50, "hidden_size": 16, "num_layers": 4,
      "num_heads": 2, "max_position_embeddings": 32, "window_size": 5)";
  const auto masks = [&](const std::string& more) {
    return ParseModelConfig(ParseJson(base + more + "}", "x"), "x").masks;
  };
  const std::vector<Mask> by_turns = {Mask::Causal(), Mask::Banded(5)};
  EXPECT_EQ(masks(""), by_turns);
  EXPECT_EQ(masks(R"(, "attention_types": [[["global", "local"], 2]])"), by_turns);
  EXPECT_EQ(masks(R"(, "attention_layers": ["local", "local", "local", "local"])"), std::vector{Mask::Banded(5)});
  EXPECT_EQ(masks(R"(, "attention_types": [[["global"], 1], [["local"], 3]])").size(), 4);
  EXPECT_THAT(ErrorOf(base + R"(, "attention_types": [[["global", "local"], 3]]})"), HasSubstr("6 layers, expected 4"));
  EXPECT_THAT(ErrorOf(base + R"(, "attention_layers": ["sparse"]})"), HasSubstr("\"sparse\""));
  EXPECT_THAT(ErrorOf(base + R"(, "attention_types": [["global", 4]]})"), HasSubstr("attention_types"));
}

TEST(ModelConfigTest, KnowsWhichModelsContinueATextAndWhichReadItWhole) {
  EXPECT_TRUE(Preset("tiny-gpt-neo").IsCausal());
  EXPECT_FALSE(Preset("tiny-bert").IsCausal());
  EXPECT_NO_THROW(RequireNextToken(Preset("tiny"), "generate"));
  EXPECT_THROW(RequireNextToken(Preset("tiny-bert"), "generate"), Error);
  const std::string bert = R"({"model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1,
      "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 32, "architectures": )";
  EXPECT_EQ(ParseModelConfig(ParseJson(bert + R"(["BertModel"]})", "x"), "x").head, Head::kNone);
  EXPECT_EQ(ParseModelConfig(ParseJson(bert + R"(["BertForMaskedLM"]})", "x"), "x").head, Head::kMaskedLm);
  EXPECT_THAT(ErrorOf(bert + R"(["BertForSequenceClassification"]})"), HasSubstr("BertForSequenceClassification"));
  EXPECT_THAT(ErrorOf(bert + R"(["BertModel"], "position_embedding_type": "relative_key"})"),
              HasSubstr("relative_key"));
  EXPECT_THAT(ErrorOf(R"({"model_type": "gpt-neo"})"), HasSubstr("did you mean gpt_neo?"));
}

TEST(ModelConfigTest, NamesTheFieldThatIsMissingWrongOrUnsupported) {
  for (const ConfigCase& c : FaultyConfigs()) EXPECT_THAT(ErrorOf(c.text), HasSubstr(c.error)) << c.text;
}

TEST(ModelConfigTest, LeavesOutSpecialTokensThatTheVocabularyLacks) {
  // transformers writes GPT-2's own ids for a vocabulary of any size.
  const Json json = ParseJson(Gpt2With(R"(, "bos_token_id": 50256, "eos_token_id": [7, 50256])"), "x");
  const ModelConfig c = ParseModelConfig(json, "x");
  EXPECT_FALSE(c.bos_token_id.has_value());
  EXPECT_EQ(c.eos_token_ids, std::vector<int32_t>{7});
}

TEST(ModelConfigTest, ChecksWhatACheckpointCannotHold) {
  const auto error = [](auto edit) {
    ModelConfig c = Preset("tiny");
    edit(c);
    try {
      c.Check("model");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(error([](ModelConfig&) {}), "no error");
  EXPECT_THAT(error([](ModelConfig& c) { c.num_key_value_heads = 2; }), HasSubstr("num_key_value_heads is 2"));
  EXPECT_THAT(error([](ModelConfig& c) { c.resid_pdrop = 1.5; }), HasSubstr("resid_pdrop is 1.5"));
  EXPECT_THAT(error([](ModelConfig& c) {
                c.attn_pdrop = 0.1;
                c.max_position_embeddings = (1 << 20) + 1;
              }),
              HasSubstr("attn_pdrop is 0.1"));
  EXPECT_THAT(error([](ModelConfig& c) { c.embd_pdrop = -0.5; }), HasSubstr("embd_pdrop is -0.5"));
}

TEST(PresetTest, CountsTheParametersOfThePublishedModels) {
  EXPECT_EQ(ParameterList(Preset("gpt2-124m")).parameters, 124439808);
  EXPECT_EQ(ParameterList(Preset("gpt2-1.5b")).parameters, 1557611200);
  EXPECT_EQ(ParameterList(Preset("llama2-7b")).parameters, 6738415616);
  EXPECT_EQ(ParameterList(Preset("gpt1-117m")).parameters, 116534784);
  EXPECT_EQ(ParameterList(Preset("gpt3-125m")).parameters, 125198592);   // EleutherAI's gpt-neo-125m
  EXPECT_EQ(ParameterList(Preset("gpt3-2.7b")).parameters, 2651307520);  // ... and gpt-neo-2.7B
  EXPECT_EQ(ParameterList(Preset("bert-base")).parameters, 109514298);   // BertForMaskedLM
  EXPECT_EQ(ParameterList(Preset("gpt3-175b")).parameters / 1000000000, 174);
  EXPECT_EQ(ParameterList(Preset("llama-1.1b")).parameters, 1100048384);
  // nanoGPT's CPU configuration prints 0.80M without positions.
  EXPECT_EQ(ParameterList(Preset("nano-char-cpu")).parameters - 64 * 128, 795904);
}

TEST(PresetTest, SuggestsTheNearestName) {
  try {
    Preset("gpt2-124");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("did you mean \"gpt2-124m\""));
  }
}

TEST(ParameterTest, EveryRowIsPublishedExactlyOnce) {
  for (const NamedConfig& named : AllTestConfigs()) {
    const ParameterList list(named.config);
    std::vector<int64_t> covered(list.all.size());
    for (const PublishedTensor& t : PublishedTensors(named.config, list)) {
      if (t.zero_filled) continue;
      EXPECT_EQ(covered[t.parameter], t.first_row) << t.name;
      covered[t.parameter] += t.rows;
    }
    for (size_t i = 0; i < covered.size(); ++i) EXPECT_EQ(covered[i], list.all[i].rows) << list.all[i].name;
  }
}

TEST(ParameterTest, InitialValuesFollowTheirDistributionInAnyPieces) {
  const ParameterList list(Preset("nano-char-cpu"));
  std::vector<float> flat(list.elements);
  InitializeParameters(list, 7, flat);
  const Parameter& p = list.all[list.layers[0].up_weight];
  double sum = 0, squares = 0;
  for (int64_t e = 0; e < p.elements(); ++e) {
    sum += flat[p.offset + e];
    squares += static_cast<double>(flat[p.offset + e]) * flat[p.offset + e];
  }
  const auto n = static_cast<double>(p.elements());
  EXPECT_NEAR(sum / n, 0, 5 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), 0.02, 0.0005);
  std::vector<float> piece(101);
  InitializeParameter(list, list.layers[0].up_weight, 7, 33, piece);
  for (int i = 0; i < 101; ++i) EXPECT_EQ(piece[i], flat[p.offset + 33 + i]);
  std::vector<float> other(list.elements);
  InitializeParameters(list, 8, other);
  EXPECT_NE(flat, other);
}

TEST(ParameterTest, ATowersPlacesBeginAsSinesOfRowAndColumn) {
  const ModelConfig config = ParseModelConfig(ParseJson(R"({
      "model_type": "openvla", "arch_specifier": "no-align+gelu-mlp", "use_fused_vision_backbone": false,
      "timm_model_ids": ["vit_tiny_patch4"], "image_sizes": [16], "pad_to_multiple_of": 64,
      "kinetok_vision": {"featurizer": {"patch_size": 4, "embed_dim": 32, "depth": 2, "feature_block": 1,
                                        "num_heads": 2, "mlp_hidden_dim": 64}},
      "text_config": {"model_type": "llama", "vocab_size": 576, "hidden_size": 32, "num_hidden_layers": 1,
                      "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 64,
                      "max_position_embeddings": 128}})",
                                                        "config.json"),
                                              "config.json");
  const ParameterList list(config);
  const int place = list.towers[0].position;
  const Parameter& p = list.all[place];
  std::vector<float> table(p.elements());
  InitializeParameter(list, place, 7, 0, table);
  const auto row = [&](int64_t y, int64_t x) { return &table[(p.rows - 16 + 4 * y + x) * p.columns]; };
  const int64_t quarter = p.columns / 4;
  for (const auto& [y, x] : {std::pair<int64_t, int64_t>{0, 0}, {1, 2}, {3, 3}}) {
    EXPECT_FLOAT_EQ(row(y, x)[0], static_cast<float>(0.5 * std::sin(x)));
    EXPECT_FLOAT_EQ(row(y, x)[quarter], static_cast<float>(0.5 * std::cos(x)));
    EXPECT_FLOAT_EQ(row(y, x)[2 * quarter], static_cast<float>(0.5 * std::sin(y)));
    EXPECT_FLOAT_EQ(row(y, x)[3 * quarter], static_cast<float>(0.5 * std::cos(y)));
  }
  std::vector<float> piece(99);
  InitializeParameter(list, place, 7, 100, piece);
  EXPECT_TRUE(std::equal(piece.begin(), piece.end(), table.begin() + 100));
}

}  // namespace
}  // namespace kinetok
