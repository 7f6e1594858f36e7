#include "kinetok/model/gguf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "kinetok/base/error.h"
#include "kinetok/io/gguf_cases.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/model.h"
#include "kinetok/model/test_models.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class GgufModelTest : public ::testing::Test {
 protected:
  GgufModelTest() {
    file_ = fs::temp_directory_path() / fmt::format("kinetok_gguf_{}_{}.gguf", getpid(),
                                                    ::testing::UnitTest::GetInstance()->current_test_info()->name());
  }
  ~GgufModelTest() override { fs::remove(file_); }

  struct Contents {
    GgufFields fields;
    std::vector<TensorSpec> tensors;
    void Set(const std::string& key, GgufData data) {
      Drop(key);
      fields.emplace_back(key, std::move(data));
    }
    void Drop(const std::string& key) {
      std::erase_if(fields, [&](const auto& field) { return field.first == key; });
    }
  };
  // The file of a small model after `edit`. Every tensor has a value of its own; a head may have the embedding's.
  void Write(const std::string& preset, const std::function<void(Contents&)>& edit) { Write(Preset(preset), edit); }
  void Write(const ModelConfig& config, const std::function<void(Contents&)>& edit) {
    Contents contents{GgufConfigFields(config, DType::kF32, "test"), {}};
    for (const PublishedTensor& t : GgufTensors(config, ParameterList(config))) {
      contents.tensors.push_back({t.name, DType::kF32, t.shape});
    }
    edit(contents);
    GgufWriter writer(file_, contents.tensors, contents.fields);
    float value = 0;
    for (const TensorSpec& t : writer.tensors()) {
      const auto elements = static_cast<size_t>(TensorBytes(t) / DTypeSize(t.dtype));
      writer.Write(t.name, std::vector<float>(elements, head_is_copy_ && t.name == "output.weight" ? 1 : ++value));
    }
    writer.Commit();
  }
  std::string Error(const std::string& preset, const std::function<void(Contents&)>& edit) {
    Write(preset, edit);
    return LoadError();
  }
  std::string BertError(const std::function<void(Contents&)>& edit) {
    ModelConfig config = Preset("tiny-bert");
    config.head = Head::kNone;
    Write(config, edit);
    return LoadError();
  }
  std::string LoadError() {
    Context context(1, BestIsa());
    try {
      Model::Load(context, file_, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
    } catch (const kinetok::Error& e) {
      return std::string(e.what()).substr(file_.string().size());
    }
    return "no error";
  }

  fs::path file_;
  bool head_is_copy_ = false;
};

TEST_F(GgufModelTest, FieldsBecomeTheConfigurationAndAbsentOnesTheirDefaults) {
  Write("tiny-llama", [](Contents& c) {
    for (const char* key :
         {"vocab_size", "attention.key_length", "attention.value_length", "rope.dimension_count", "rope.freq_base"}) {
      c.Drop(std::string("llama.") + key);
    }
    c.Set("llama.rope.scaling.type", std::string("none"));
    c.Set("llama.expert_count", uint32_t{0});
    c.Set("tokenizer.ggml.bos_token_id", uint32_t{1});
    c.Set("tokenizer.ggml.eos_token_id", uint32_t{2});
    c.Set("tokenizer.ggml.eot_token_id", uint32_t{3});
    c.Set("tokenizer.ggml.eom_token_id", uint32_t{0xffffffff});
  });
  ModelConfig expected = Preset("tiny-llama");
  expected.bos_token_id = 1;
  expected.eos_token_ids = {2, 3};
  EXPECT_EQ(ModelFiles(file_).config(), expected);
  EXPECT_EQ(LoadError(), "no error");
}

TEST_F(GgufModelTest, LinearRopeScalingIsKept) {
  ModelConfig config = Preset("tiny-llama");
  config.rope_scaling = {.kind = RopeScaling::Kind::kLinear, .factor = 2.5};
  Write("tiny-llama", [&](Contents& c) { c.fields = GgufConfigFields(config, DType::kF32, "test"); });
  EXPECT_EQ(ModelFiles(file_).config(), config);
}

TEST_F(GgufModelTest, NamesTheFieldThatIsMissingWrongOrUnsupported) {
  const auto set = [](const char* key, GgufData data) { return [=](Contents& c) { c.Set(key, data); }; };
  const auto drop = [](const char* key) { return [=](Contents& c) { c.Drop(key); }; };
  const std::tuple<const char*, std::function<void(Contents&)>, const char*> cases[] = {
      {"tiny", drop("general.architecture"), ": required field \"general.architecture\" is missing"},
      {"tiny", set("general.architecture", std::string("gpt3")),
       ": field \"general.architecture\" is \"gpt3\", which is not supported (did you mean \"gpt2\"?); expected "
       "gpt2, llama or bert"},
      {"tiny", set("general.type", std::string("adapter")),
       ": field \"general.type\" is \"adapter\", expected \"model\""},
      {"tiny", set("split.count", uint32_t{3}), ": is one of 3 parts (field \"split.count\")"},
      {"tiny", drop("gpt2.block_count"), ": required field \"gpt2.block_count\" is missing"},
      {"tiny", set("gpt2.block_count", std::string("2")),
       ": field \"gpt2.block_count\" is \"2\", expected a whole number"},
      {"tiny", set("gpt2.embedding_length", uint32_t{0}), ": field \"gpt2.embedding_length\" is 0"},
      {"tiny", set("gpt2.attention.head_count", uint32_t{5}), "expected a multiple of attention.head_count (5)"},
      {"tiny", set("gpt2.attention.head_count_kv", uint32_t{2}), ": field \"gpt2.attention.head_count_kv\" is 2"},
      {"tiny", set("gpt2.attention.layer_norm_epsilon", -1.0f), "is -1, expected a number above 0"},
      {"tiny", set("gpt2.attention.alibi", true), ": field \"gpt2.attention.alibi\" is not supported"},
      {"tiny", set("gpt2.vocab_size", uint32_t{500}),
       ": field \"gpt2.vocab_size\" is 500, which is not supported; expected 512"},
      {"tiny-llama", set("llama.attention.head_count_kv", std::vector<int32_t>{2, 2}),
       ": field \"llama.attention.head_count_kv\" is an array of 2 int32, expected a whole number"},
      {"tiny-llama", set("llama.attention.head_count_kv", uint32_t{3}),
       "expected a multiple of num_key_value_heads (3)"},
      {"tiny-llama", set("llama.attention.value_length", uint32_t{8}), ": field \"llama.attention.value_length\" is 8"},
      {"tiny-llama", set("llama.rope.dimension_count", uint32_t{8}), ": field \"llama.rope.dimension_count\" is 8"},
      {"tiny-llama", set("llama.expert_count", uint32_t{8}), ": field \"llama.expert_count\" is 8"},
      {"tiny-llama", set("llama.rope.scaling.type", std::string("yarn")),
       ": field \"llama.rope.scaling.type\" is \"yarn\""},
      {"tiny-llama", set("llama.attention.sliding_window", uint32_t{64}),
       ": field \"llama.attention.sliding_window\" is not supported"},
      {"tiny-llama", set("llama.rope.freq_base", 0.0f), "is 0, expected a number above 0"},
  };
  for (const auto& [preset, edit, error] : cases) {
    SCOPED_TRACE(error);
    EXPECT_THAT(Error(preset, edit), HasSubstr(error));
  }
}

TEST_F(GgufModelTest, BertIsReadWithoutAHead) {
  const auto set = [](const char* key, GgufData data) { return [=](Contents& c) { c.Set(key, data); }; };
  EXPECT_EQ(BertError(set("bert.pooling_type", uint32_t{1})), "no error");
  EXPECT_THAT(BertError(set("bert.pooling_type", uint32_t{2})), HasSubstr(": field \"bert.pooling_type\" is 2"));
  EXPECT_THAT(BertError(set("bert.attention.causal", true)), HasSubstr("\"bert.attention.causal\" is true"));
  EXPECT_THAT(BertError([](Contents& c) { c.tensors.erase(c.tensors.begin() + 2); }),
              HasSubstr("tensor \"token_types.weight\" is missing"));
  EXPECT_THAT(BertError([](Contents& c) {
                c.tensors.push_back({"cls.weight", DType::kF32, {64, 64}});
              }),
              HasSubstr("tensor \"cls.weight\" is not part of this model"));
}

TEST_F(GgufModelTest, NamesTheTensorThatIsMissingMisshapenSurplusOrQuantised) {
  EXPECT_EQ(
      Error("tiny",
            [](Contents& c) { std::erase_if(c.tensors, [](auto& t) { return t.name == "blk.1.attn_qkv.bias"; }); }),
      ": tensor \"blk.1.attn_qkv.bias\" is missing, which its metadata asks for");
  EXPECT_EQ(Error("tiny", [](Contents& c) { c.tensors.erase(c.tensors.begin()); }),
            ": tensor \"token_embd.weight\" is missing");
  EXPECT_EQ(Error("tiny",
                  [](Contents& c) {
                    c.tensors[4].shape = {190, 64};
                  }),
            ": tensor \"blk.0.attn_qkv.weight\" has shape [190, 64], expected [192, 64] (its metadata)");
  EXPECT_EQ(Error("tiny",
                  [](Contents& c) {
                    c.tensors.push_back({"blk.9.extra", DType::kF32, {2}});
                  }),
            ": tensor \"blk.9.extra\" is not part of this model (architecture \"gpt2\")");
  EXPECT_EQ(Error("tiny-llama",
                  [](Contents& c) {
                    c.tensors.push_back({"rope_freqs.weight", DType::kF32, {8}});
                  }),
            ": tensor \"rope_freqs.weight\" (scaled rotary positions) is not supported");
  // The type's number of the first tensor, behind its two dimensions: Q8_0 of the same number of bytes or not.
  Write("tiny", [](Contents&) {});
  std::string bytes = ReadFile(file_);
  const size_t type = bytes.find("token_embd.weight") + std::string("token_embd.weight").size() + 4 + 16;
  ASSERT_EQ(bytes.substr(type, 4), GgufBytes::U32(0));
  bytes.replace(type, 4, GgufBytes::U32(26));
  WriteFileAtomically(file_, bytes);
  EXPECT_EQ(LoadError(),
            ": tensor \"token_embd.weight\" has type I32, which is not supported yet; expected F32, F16 or BF16");
}

TEST_F(GgufModelTest, AHeadThatIsACopyOfTheEmbeddingIsKeptOnce) {
  head_is_copy_ = true;
  Write("tiny", [](Contents& c) { c.tensors.push_back({"output.weight", DType::kF32, {512, 64}}); });
  const ModelFiles files(file_);
  EXPECT_TRUE(files.config().tie_word_embeddings);
  EXPECT_THAT(files.tensors().unread, ElementsAre("output.weight"));
  Write("tiny", [](Contents& c) { c.tensors.push_back({"output.weight", DType::kF16, {512, 64}}); });
  EXPECT_FALSE(ModelFiles(file_).config().tie_word_embeddings);
  head_is_copy_ = false;
  Write("tiny", [](Contents& c) { c.tensors.push_back({"output.weight", DType::kF32, {512, 64}}); });
  EXPECT_FALSE(ModelFiles(file_).config().tie_word_embeddings);
}

TEST_F(GgufModelTest, AModelWithoutATokenizerRunsOnIds) {
  Write("tiny", [](Contents&) {});
  Context context(1, BestIsa());
  const auto model = Model::Load(context, file_, {.dtype = {}, .tokenizer = TokenizerUse::kIfPossible});
  EXPECT_EQ(model->tokenizer_problem(), file_.string() + ": carries no tokenizer");
  EXPECT_THROW(Model::Load(context, file_), kinetok::Error);
  EXPECT_THROW(LoadTokenizer(file_), kinetok::Error);
}

TEST_F(GgufModelTest, EveryRowIsStoredExactlyOnce) {
  for (const NamedConfig& named : TestConfigs()) {
    if (named.config.model_type == "openai-gpt" || named.config.model_type == "gpt_neo") continue;
    const ParameterList list(named.config);
    std::vector<std::vector<int>> seen(list.all.size());
    for (size_t i = 0; i < seen.size(); ++i) seen[i].resize(static_cast<size_t>(list.all[i].rows));
    for (const PublishedTensor& t : GgufTensors(named.config, list)) {
      if (t.zero_filled) continue;
      std::vector<int> stored(static_cast<size_t>(t.rows));
      for (const StoredRun& run : StoredRuns(t)) {
        for (int64_t i = 0; i < run.rows; ++i) {
          ++seen[t.parameter].at(static_cast<size_t>(run.parameter_row + i));
          ++stored.at(static_cast<size_t>(run.stored + i * run.stride));
        }
      }
      EXPECT_THAT(stored, ::testing::Each(1)) << t.name;
    }
    for (size_t i = 0; i < seen.size(); ++i) EXPECT_THAT(seen[i], ::testing::Each(1)) << list.all[i].name;
  }
}

}  // namespace
}  // namespace kinetok
