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
#include "kinetok/text/tokenizer_trainer.h"

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
      Model::Load(context, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  void Write(const char* name, const std::string& text) { std::ofstream(dir_ / name) << text; }

  fs::path dir_;
};

TEST_F(CheckpointTest, WhatIsSavedIsWhatIsLoaded) {
  for (const NamedConfig& named : AllTestConfigs()) {
    const ParameterList list(named.config);
    const std::vector<float> flat = DrawParameters(list, 2);
    SaveCheckpoint(dir_, named.config, flat, nullptr, DType::kF32);
    const ModelConfig config = LoadDirectoryConfig(dir_);
    EXPECT_EQ(config, named.config) << named.name;
    std::vector<float> loaded(list.elements);
    LoadParameters(dir_, config, list, loaded);
    EXPECT_EQ(std::memcmp(loaded.data(), flat.data(), flat.size() * 4), 0) << named.name;

    Context context(2, BestIsa());
    const auto a = Model::Load(context, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
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

TEST_F(CheckpointTest, AnUntiedBertHasTheBiasThatNobodyReads) {
  ModelConfig config = TestEncoder().config;
  config.tie_word_embeddings = false;
  const ParameterList list(config);
  const std::vector<float> flat = DrawParameters(list, 2);
  SaveCheckpoint(dir_, config, flat, nullptr, DType::kF32);
  const Checkpoint checkpoint(dir_);
  EXPECT_NE(checkpoint.Find("cls.predictions.bias"), nullptr);  // transformers misses it otherwise
  EXPECT_THAT(MatchTensors(checkpoint, config, list).unread, ::testing::ElementsAre("cls.predictions.bias"));
  std::vector<float> loaded(list.elements);
  LoadParameters(dir_, config, list, loaded);
  EXPECT_EQ(loaded, flat);
  Rewrite(config, [](auto& specs) {
    std::erase_if(specs, [](const TensorSpec& s) { return s.name == "cls.predictions.bias"; });
  });
  EXPECT_EQ(LoadError(), "no error");
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

TEST_F(CheckpointTest, AcceptsTheOldNamesOfANorm) {
  const ModelConfig config = Preset("tiny");
  SaveCheckpoint(dir_, config, DrawParameters(ParameterList(config), 2), nullptr, DType::kF32);
  Rewrite(config, [](auto& specs) {
    for (TensorSpec& s : specs) {
      if (s.name == "transformer.h.1.ln_2.weight") s.name = "transformer.h.1.ln_2.gamma";
      if (s.name == "transformer.h.1.ln_2.bias") s.name = "transformer.h.1.ln_2.beta";
    }
  });
  EXPECT_EQ(LoadError(), "no error");
}

// A tokenizer of 257 ids, the last one <|endoftext|>.
std::shared_ptr<const Tokenizer> SmallTokenizer() {
  BytesBpeTrainer trainer({.vocab_size = 257});
  trainer.Add("a");
  return trainer.Train();
}

TEST_F(CheckpointTest, ATokenizerOfAnotherModelIsRefused) {
  Context context(1, BestIsa());
  const auto tokenizer = SmallTokenizer();
  ModelConfig config = Preset("tiny");
  const auto error = [&] {
    const ParameterList list(config);
    SaveCheckpoint(dir_, config, DrawParameters(list, 2), tokenizer.get(), DType::kF32);
    try {
      Model::Load(context, dir_);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(error(), "no error");  // ids that only pad the model
  config.vocab_size = 256;
  EXPECT_THAT(error(), HasSubstr("the tokenizer has ids up to 256, the model a vocab_size of 256"));
  config.vocab_size = 300;
  config.eos_token_ids = {299};
  EXPECT_THAT(error(), HasSubstr("token 299 (eos_token_id), which the tokenizer lacks"));
  const auto ids_only = Model::Load(context, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kIfPossible});
  EXPECT_EQ(ids_only->tokenizer(), nullptr);
  EXPECT_THAT(ids_only->tokenizer_problem(), HasSubstr("token 299"));
}

TEST_F(CheckpointTest, ATokenizerIsReadOnlyWhenItIsWanted) {
  const ModelConfig config = Preset("tiny");
  SaveCheckpoint(dir_, config, DrawParameters(ParameterList(config), 2), nullptr, DType::kF32);
  Context context(1, BestIsa());
  for (const char* text : {"{", R"({"model": {"type": "Unigram", "vocab": []}})"}) {
    Write("tokenizer.json", text);
    EXPECT_EQ(LoadError(), "no error");
    EXPECT_THROW(Model::Load(context, dir_), Error);
    const auto model = Model::Load(context, dir_, {.dtype = {}, .tokenizer = TokenizerUse::kIfPossible});
    EXPECT_THAT(model->tokenizer_problem(), HasSubstr("tokenizer.json"));
  }
}

TEST_F(CheckpointTest, ModelsThatDoNotFitAreRefusedBeforeTheyTakeMemory) {
  Context context(1, BestIsa());
  ModelConfig lie = Preset("tiny-llama");
  SaveCheckpoint(dir_, lie, DrawParameters(ParameterList(lie), 2), nullptr, DType::kF32);
  lie.hidden_size = 512;
  lie.num_attention_heads = lie.num_key_value_heads = 2;
  lie.head_dim = 256;
  lie.max_position_embeddings = 1 << 24;  // a rotary table of 17 GB
  SaveConfig(dir_, lie, DType::kF32);
  EXPECT_THAT(LoadError(), HasSubstr("has shape"));  // found out before the table is made
  try {
    Model::Random(context, Preset("llama2-70b"), 0, DType::kF32);
    FAIL() << "275.9 GB were free";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("needs 275.9 GB"));
  }
}

TEST_F(CheckpointTest, RefusesFoldersThatAreNoModels) {
  EXPECT_EQ(LoadError(),
            dir_.string() + ": is not a model directory; expected a Hugging Face directory or a .gguf file");
  fs::create_directories(dir_);
  EXPECT_EQ(
      LoadError(),
      dir_.string() + ": holds no config.json; expected a Hugging Face model directory or the name of a .gguf file");
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
