#include "kinetok/model/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/io/safetensors.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/model.h"
#include "kinetok/model/test_models.h"
#include "kinetok/text/byte_alphabet.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
namespace fs = std::filesystem;

class ConvertTest : public ::testing::Test {
 protected:
  ConvertTest() {
    dir_ = fs::temp_directory_path() / fmt::format("kinetok_convert_{}_{}", getpid(),
                                                   ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  ~ConvertTest() override { fs::remove_all(dir_); }

  fs::path at(const std::string& name) const { return dir_ / name; }
  // A directory of random weights.
  fs::path Make(const std::string& name, const ModelConfig& config, DType dtype,
                const Tokenizer* tokenizer = nullptr) const {
    SaveCheckpoint(at(name), config, DrawParameters(ParameterList(config), 3), tokenizer, dtype);
    return at(name);
  }
  static std::vector<float> Logits(const fs::path& model) {
    Context context(2, BestIsa());
    const auto m = Model::Load(context, model, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
    KvCache cache(m->config());
    Workspace workspace;
    const int s = cache.NewSequence();
    const std::vector<BatchRow> rows = {{3, s, true}, {7, s, true}, {11, s, true}, {300, s, true}};
    const bool headless = m->config().head == Head::kNone;
    const Rows<const float> l =
        headless ? m->Hidden(context, rows, cache, workspace) : m->Forward(context, rows, cache, workspace);
    return {l.data, l.data + l.rows * l.width};
  }
  static std::string ConvertError(const fs::path& from, const fs::path& to, const ConvertOptions& options = {}) {
    try {
      ConvertModel(from, to, options);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  std::vector<std::string> Listing(const fs::path& folder) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
    return names;
  }

  // A byte as GPT-2's vocabulary writes it.
  static std::string ByteLetter(int byte) {
    std::string letter;
    AppendUtf8(ByteCharacter(static_cast<uint8_t>(byte)), letter);
    return letter;
  }

  fs::path dir_;
};

// What GGUF has an architecture for: neither the exact GELU nor Llama 3's frequencies.
std::vector<NamedConfig> GgufConfigs() {
  std::vector<NamedConfig> configs = TestConfigs();
  std::erase_if(configs, [](const NamedConfig& c) { return c.name.find("gpt2") != 0 && c.name.find("llama") != 0; });
  configs.push_back(TestEncoder());
  configs.back().config.head = Head::kNone;
  for (NamedConfig& c : configs) {
    if (c.config.model_type == "gpt2") c.config.activation = Activation::kGeluTanh;
    if (c.name == "llama_bias") c.config.rope_scaling = {.kind = RopeScaling::Kind::kLinear, .factor = 2};
    c.config.bos_token_id = 5;
    c.config.eos_token_ids = {6, 9};
  }
  return configs;
}

TEST_F(ConvertTest, ThroughGgufAndBackEveryByteIsTheSame) {
  for (const NamedConfig& named : GgufConfigs()) {
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      SCOPED_TRACE(named.name + " " + std::string(DTypeName(dtype)));
      const fs::path from = Make("from", named.config, dtype);
      const ConvertResult result = ConvertModel(from, at("m.gguf"), {.force = true});
      EXPECT_EQ(result.parameters, ParameterList(named.config).parameters);
      EXPECT_EQ(result.bytes, static_cast<int64_t>(fs::file_size(at("m.gguf"))));
      ConvertModel(at("m.gguf"), at("back"), {.force = true});
      for (const char* file : {"model.safetensors", "config.json", "generation_config.json"}) {
        EXPECT_TRUE(ReadFile(from / file) == ReadFile(at("back") / file)) << file;
      }
      EXPECT_EQ(ModelFiles(at("m.gguf")).config(), named.config);
      const std::vector<float> expected = Logits(from);
      EXPECT_TRUE(SameBits(Logits(at("m.gguf")), expected));
      std::vector<float> a(ParameterList(named.config).elements), b(a.size());
      const ParameterList list(named.config);
      LoadParameters(from, named.config, list, a);
      LoadParameters(at("m.gguf"), named.config, list, b);
      EXPECT_TRUE(SameBits(a, b));
    }
  }
}

TEST_F(ConvertTest, GgufHasTheLayoutOfLlamaCpp) {
  const NamedConfig llama = GgufConfigs()[2];
  ASSERT_EQ(llama.name, "llama");
  const ModelConfig& c = llama.config;
  const fs::path from = Make("from", c, DType::kF16);
  ConvertModel(from, at("m.gguf"));
  const Checkpoint hf(from), gguf(at("m.gguf"));
  const auto value = [](const Checkpoint& checkpoint, const char* name, int64_t row, int64_t column) {
    const TensorData& t = *checkpoint.Find(name);
    float out = 0;
    t.LoadF32(row * t.info->shape.back() + column, std::span(&out, 1));
    return out;
  };
  // Row 2i + s of a head is its row i + s * head_dim / 2 there (rotary pairs lie side by side); v stays as it is.
  for (const auto& [ours, theirs, heads] :
       {std::tuple("model.layers.1.self_attn.q_proj.weight", "blk.1.attn_q.weight", c.num_attention_heads),
        std::tuple("model.layers.1.self_attn.k_proj.weight", "blk.1.attn_k.weight", c.num_key_value_heads)}) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t i = 0; i < c.head_dim / 2; ++i) {
        for (int64_t s = 0; s < 2; ++s) {
          ASSERT_EQ(value(gguf, theirs, h * c.head_dim + 2 * i + s, 7),
                    value(hf, ours, h * c.head_dim + i + s * c.head_dim / 2, 7));
        }
      }
    }
  }
  EXPECT_EQ(value(gguf, "blk.1.attn_v.weight", 3, 5), value(hf, "model.layers.1.self_attn.v_proj.weight", 3, 5));
  EXPECT_EQ(gguf.Find("blk.0.attn_norm.weight")->info->dtype, "F32");
  EXPECT_EQ(gguf.Find("token_embd.weight")->info->dtype, "F16");

  const NamedConfig gpt2 = GgufConfigs()[0];
  ConvertModel(Make("gpt2", gpt2.config, DType::kBF16), at("g.gguf"));
  const Checkpoint conv1d(at("gpt2")), linear(at("g.gguf"));
  EXPECT_EQ(value(linear, "blk.0.attn_qkv.weight", 30, 11),
            value(conv1d, "transformer.h.0.attn.c_attn.weight", 11, 30));
  EXPECT_EQ(linear.Find("position_embd.weight")->info->dtype, "F32");
}

TEST_F(ConvertTest, ShardsAreOneModel) {
  const ModelConfig config = GgufConfigs()[3].config;
  const fs::path from = Make("from", config, DType::kBF16);
  const ConvertResult result = ConvertModel(from, at("shards"), {.max_shard_bytes = 60000});
  EXPECT_TRUE(fs::exists(at("shards") / "model.safetensors.index.json"));
  EXPECT_FALSE(fs::exists(at("shards") / "model.safetensors"));
  EXPECT_GT(Checkpoint(at("shards")).tensors().size(), 20u);
  const Json index = ParseJson(ReadFile(at("shards") / "model.safetensors.index.json"), "index");
  EXPECT_EQ(static_cast<int64_t>(index["weight_map"].size()), result.tensors);
  EXPECT_EQ(index["metadata"]["total_size"], Checkpoint(from).bytes());
  EXPECT_EQ(index["metadata"]["total_parameters"], result.parameters);
  EXPECT_TRUE(SameBits(Logits(at("shards")), Logits(from)));
  ConvertModel(at("shards"), at("whole"));
  EXPECT_TRUE(ReadFile(at("whole") / "model.safetensors") == ReadFile(from / "model.safetensors"));
  ConvertModel(at("shards"), at("m.gguf"));
  EXPECT_TRUE(SameBits(Logits(at("m.gguf")), Logits(from)));
}

TEST_F(ConvertTest, AnotherTypeRoundsEachValueOnce) {
  const ModelConfig config = GgufConfigs()[0].config;
  const fs::path from = Make("from", config, DType::kF32);
  const ParameterList list(config);
  std::vector<float> exact(list.elements), rounded(list.elements);
  LoadParameters(from, config, list, exact);
  for (const char* to : {"half", "half.gguf"}) {
    ConvertModel(from, at(to), {.dtype = DType::kBF16});
    LoadParameters(at(to), config, list, rounded);
    const Parameter &matrix = list.all[list.layers[0].qkv_weight], &norm = list.all[list.layers[0].norm1_weight];
    for (int64_t e = 0; e < matrix.elements(); ++e) {
      ASSERT_EQ(rounded[matrix.offset + e], BF16ToF32(F32ToBF16(exact[matrix.offset + e])));
    }
    const float first = exact[norm.offset];  // a file for llama.cpp keeps vectors in f32
    EXPECT_EQ(rounded[norm.offset], std::string(to) == "half" ? BF16ToF32(F32ToBF16(first)) : first);
  }
  // A vector that only f32 can hold stays f32 on the way back.
  ConvertModel(at("half.gguf"), at("mixed"));
  EXPECT_EQ(Checkpoint(at("mixed")).Find("transformer.h.0.ln_1.weight")->info->dtype, "F32");
  EXPECT_EQ(Checkpoint(at("mixed")).Find("transformer.wte.weight")->info->dtype, "BF16");
  EXPECT_TRUE(SameBits(Logits(at("mixed")), Logits(at("half.gguf"))));
}

TEST_F(ConvertTest, ANumberThatTheTypeCannotHoldIsNamed) {
  const ModelConfig config = Preset("tiny-llama");
  const ParameterList list(config);
  std::vector<float> flat = DrawParameters(list, 3);
  const auto error = [&](float value, DType dtype) {
    flat[list.all[list.layers[1].out_weight].offset + 5] = value;
    SaveCheckpoint(at("from"), config, flat, nullptr, DType::kF32);
    return ConvertError(at("from"), at("to"), {.dtype = dtype, .force = true});
  };
  EXPECT_EQ(error(65519, DType::kF16), "no error");
  EXPECT_EQ(error(-70000, DType::kF16),
            (at("from") / "model.safetensors").string() +
                ": tensor \"model.layers.1.self_attn.o_proj.weight\" holds -70000, which f16 cannot; expected values "
                "below 65520 there, or another type");
  EXPECT_EQ(error(-70000, DType::kBF16), "no error");
  EXPECT_THAT(error(3.4e38f, DType::kBF16), HasSubstr("which bf16 cannot"));
  EXPECT_EQ(error(INFINITY, DType::kF16), "no error");  // it is infinite already
  EXPECT_THAT(Listing(dir_), UnorderedElementsAre("from", "to"));
}

TEST_F(ConvertTest, WhatIsThereIsReplacedOnlyByForce) {
  const ModelConfig config = Preset("tiny");
  const fs::path from = Make("from", config, DType::kF32), to = Make("to", config, DType::kF32);
  EXPECT_EQ(ConvertError(from, to), to.string() + ": exists already, expected a new name; --force replaces a model");
  EXPECT_EQ(ConvertError(from, to, {.dtype = DType::kF16, .max_shard_bytes = 50000, .force = true}), "no error");
  EXPECT_FALSE(fs::exists(to / "model.safetensors"));  // of before: it would be read instead of the shards
  EXPECT_EQ(Checkpoint(to).tensors()[0].info->dtype, "F16");
  std::ofstream(to / "notes.txt") << "mine";
  EXPECT_THAT(ConvertError(from, to, {.force = true}), HasSubstr("holds notes.txt, which is no file of a model"));
  EXPECT_THAT(ConvertError(from, at("from") / "config.json"), HasSubstr("is a file, expected a directory"));
  fs::create_directories(at("folder.gguf"));
  EXPECT_THAT(ConvertError(from, at("folder.gguf")), HasSubstr("is a directory, expected a file"));
  fs::create_directories(at("empty"));
  EXPECT_EQ(ConvertError(from, at("empty")), "no error");
  EXPECT_EQ(ConvertError(from, from, {.dtype = DType::kF16, .force = true}), "no error");  // in place
  EXPECT_EQ(Checkpoint(from).tensors()[0].info->dtype, "F16");
  ConvertModel(from, at("m.gguf"));
  EXPECT_THAT(ConvertError(from, at("m.gguf")), HasSubstr("m.gguf: exists already"));
  EXPECT_EQ(ConvertError(at("m.gguf"), at("m.gguf"), {.dtype = DType::kBF16, .force = true}), "no error");
  EXPECT_EQ(Checkpoint(at("m.gguf")).Find("token_embd.weight")->info->dtype, "BF16");
  EXPECT_THAT(ConvertError(at("absent"), at("new")), HasSubstr("absent"));
  EXPECT_THAT(ConvertError(at("absent.gguf"), at("new")), HasSubstr("absent.gguf: no such file"));
  EXPECT_FALSE(fs::exists(at("new")));
}

TEST_F(ConvertTest, WhatGgufHasNoFormForIsRefusedByName) {
  const auto error = [&](auto edit) {
    ModelConfig config = Preset("tiny");
    edit(config);
    return ConvertError(Make("from", config, DType::kF32), at("m.gguf"));
  };
  EXPECT_THAT(error([](ModelConfig& c) { c.activation = Activation::kGeluErf; }),
              HasSubstr("activation_function is not gelu_new"));
  const auto llama3 = [&] {
    ModelConfig config = Preset("tiny-llama");
    config.rope_scaling = {RopeScaling::Kind::kLlama3, 8, 1, 4, 64};
    return ConvertError(Make("llama3", config, DType::kF32), at("m.gguf"));
  };
  EXPECT_THAT(llama3(), HasSubstr("rope type \"llama3\" has no field in GGUF"));
  fs::remove_all(at("llama3"));
  EXPECT_THAT(error([](ModelConfig& c) { c.scale_attention = false; }),
              HasSubstr("this model has options that a GGUF file of architecture \"gpt2\" cannot hold"));
  for (const char* preset : {"tiny-gpt1", "tiny-gpt-neo"}) {
    EXPECT_THAT(ConvertError(Make(preset, Preset(preset), DType::kF32), at("m.gguf")),
                HasSubstr("cannot be written as GGUF"));
    fs::remove_all(at(preset));
  }
  EXPECT_THAT(ConvertError(Make("bert", Preset("tiny-bert"), DType::kF32), at("m.gguf")),
              HasSubstr("holds no head for masked words; expected a BertModel"));
  fs::remove_all(at("bert"));
  EXPECT_EQ(error([](ModelConfig& c) { c.resid_pdrop = 0.5; }), "no error");  // of training alone
  CharTrainer trainer({"<|endoftext|>"});
  trainer.Add("abcdefgh");
  const auto tokenizer = trainer.Train();
  ModelConfig config = Preset("tiny");
  config.vocab_size = 400;
  const fs::path from = Make("chars", config, DType::kF32, tokenizer.get());
  EXPECT_THAT(ConvertError(from, at("c.gguf")), HasSubstr("its tokenizer has no form in GGUF"));
  EXPECT_EQ(ConvertError(from, at("c.gguf"), {.tokenizer = false}), "no error");
  EXPECT_THAT(Listing(dir_), UnorderedElementsAre("from", "chars", "m.gguf", "c.gguf"));
}

TEST_F(ConvertTest, AVocabularyUnderOpenAisNamesBecomesATokenizerJson) {
  const fs::path model = Make("hf", Preset("tiny"), DType::kF32);
  std::string encoder = "{";
  for (int byte = 0; byte < 256; ++byte) {
    encoder += fmt::format("\"{}\": {}, ", byte == '"' ? "\\\"" : byte == '\\' ? "\\\\" : ByteLetter(byte), byte);
  }
  WriteFileAtomically(model / "encoder.json", encoder + "\"ab\": 256}");
  WriteFileAtomically(model / "vocab.bpe", "#version: 0.2\na b\n");
  const std::vector<int32_t> ids = Tokenizer::Load(model)->Encode("ab abc");
  EXPECT_THAT(ids, ElementsAre(256, ' ', 256, 'c'));
  ConvertModel(model, at("new"), {});
  EXPECT_TRUE(fs::exists(at("new") / "tokenizer.json"));
  EXPECT_FALSE(fs::exists(at("new") / "vocab.bpe"));
  EXPECT_EQ(Tokenizer::Load(at("new"))->Encode("ab abc"), ids);
}

TEST_F(ConvertTest, ReportsHowFarItIs) {
  const fs::path from = Make("from", Preset("tiny"), DType::kF32);
  std::vector<int64_t> seen;
  int64_t all = 0;
  ConvertModel(from, at("m.gguf"), {.progress = [&](int64_t done, int64_t total) {
                 seen.push_back(done);
                 all = total;
               }});
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  EXPECT_EQ(seen.back(), all);
  EXPECT_EQ(all, Checkpoint(at("m.gguf")).bytes());
}

}  // namespace
}  // namespace kinetok
