#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <span>

#include "kinetok/base/error.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/convert.h"
#include "kinetok/model/gguf_model.h"
#include "kinetok/model/model.h"
#include "kinetok/model/test_models.h"
#include "kinetok/text/tokenizer_builder.h"
#include "kinetok/text/tokenizer_trainer.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr std::string_view kText = "ab abc 오늘  x\n</s> [SEP] <|endoftext|> ABC";

std::shared_ptr<const Tokenizer> Pieces() {
  SentencePieceVocabulary v;
  v.pieces = {{"<unk>", 0, PieceType::kUnknown}, {"<s>", 0, PieceType::kControl}, {"</s>", 0, PieceType::kControl}};
  for (int byte = 0; byte < 256; ++byte) v.pieces.push_back({fmt::format("<0x{:02X}>", byte), 0, PieceType::kByte});
  float score = -1.25f;
  for (const char* piece : {"▁ab", "▁a", "bc", "▁", "a", "b", "c", "오", "늘", "오늘", "x"}) {
    v.pieces.push_back({piece, score--});
  }
  v.ids = {.bos = 1, .eos = 2, .unk = 0};
  return MakeSentencePieceTokenizer(v, "pieces");
}

std::shared_ptr<const Tokenizer> Words() {
  WordPieceVocabulary v;
  v.pieces = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ab", "##c", "오늘", "x", "a", "##b", "##bc"};
  return MakeWordPieceTokenizer(v, "words");
}

std::shared_ptr<const Tokenizer> Bytes() {
  BytesBpeTrainer trainer({.vocab_size = 270});
  trainer.Add("ab ab abc abc 오늘 오늘");
  return trainer.Train();
}

GgufMetadata Reread(const GgufFields& fields, std::string* bytes) {
  *bytes = GgufHeaderBytes({}, fields);
  return ParseGgufHeader(std::as_bytes(std::span(bytes->data(), bytes->size())), bytes->size(), "t.gguf").metadata;
}

TEST(GgufTokenizerTest, EveryKindComesBackAsItWas) {
  ModelConfig config = Preset("tiny");
  for (const auto& tokenizer : {Pieces(), Words(), Bytes()}) {
    std::string bytes;
    const auto again = ReadGgufTokenizer(Reread(GgufTokenizerFields(tokenizer.get(), config, "m"), &bytes));
    EXPECT_EQ(again->vocab_size(), tokenizer->vocab_size());  // without the padding up to the model's 512
    EXPECT_EQ(again->bos_id(), tokenizer->bos_id());
    EXPECT_EQ(again->eos_id(), tokenizer->eos_id());
    for (const bool special : {false, true}) {
      for (const bool parse : {false, true}) {
        const EncodeOptions options = {.special = special, .parse_special = parse};
        EXPECT_EQ(again->Encode(kText, options), tokenizer->Encode(kText, options));
      }
    }
    for (int32_t id = 0; id < tokenizer->vocab_size(); ++id) {
      EXPECT_EQ(again->Piece(id), tokenizer->Piece(id));
      EXPECT_EQ(again->IsSpecial(id), tokenizer->IsSpecial(id)) << tokenizer->Piece(id);
    }
  }
  std::string bytes;
  const auto again = ReadGgufTokenizer(Reread(GgufTokenizerFields(Pieces().get(), config, "m"), &bytes));
  EXPECT_EQ(SentencePieceVocabularyOf(*again)->pieces[260].score, -2.25f);
}

TEST(GgufTokenizerTest, TravelsWithTheModelAndBack) {
  const fs::path dir = fs::temp_directory_path() / fmt::format("kinetok_gguf_tokenizer_{}", getpid());
  const ModelConfig config = Preset("tiny-llama");
  for (const auto& tokenizer : {Pieces(), Bytes()}) {
    SaveCheckpoint(dir / "hf", config, DrawParameters(ParameterList(config), 1), tokenizer.get(), DType::kF32);
    ConvertModel(dir / "hf", dir / "m.gguf", {.force = true});
    ConvertModel(dir / "m.gguf", dir / "back", {.force = true});
    const std::vector<int32_t> ids = tokenizer->Encode(kText, {.special = true});
    for (const char* name : {"m.gguf", "back"}) {
      EXPECT_EQ(LoadTokenizer(dir / name)->Encode(kText, {.special = true}), ids) << name;
      Context context(1, BestIsa());
      EXPECT_EQ(Model::Load(context, dir / name)->tokenizer()->Encode(kText, {.special = true}), ids) << name;
    }
  }
  fs::remove_all(dir);
}

TEST(GgufTokenizerTest, NamesWhatIsMissingWrongOrUnsupported) {
  const ModelConfig config = Preset("tiny");
  const auto error = [&](const std::shared_ptr<const Tokenizer>& tokenizer, const char* key, GgufData data) {
    GgufFields fields = {{"general.architecture", std::string("gpt2")}};
    for (auto& field : GgufTokenizerFields(tokenizer.get(), config, "m")) {
      if (field.first != key) fields.push_back(field);
    }
    if (data != GgufData(uint32_t{12345})) fields.emplace_back(key, std::move(data));
    std::string bytes;
    try {
      ReadGgufTokenizer(Reread(fields, &bytes));
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  const GgufData absent = uint32_t{12345};
  const std::string at = "t.gguf: ";
  EXPECT_EQ(error(Bytes(), "tokenizer.ggml.model", absent), at + "carries no tokenizer");
  EXPECT_EQ(error(Bytes(), "tokenizer.ggml.model", std::string("rwkv")),
            at + "field \"tokenizer.ggml.model\" is \"rwkv\", which is not supported; expected llama, gpt2 or bert");
  EXPECT_EQ(error(Bytes(), "tokenizer.ggml.pre", std::string("llama-bpe")),
            at + "field \"tokenizer.ggml.pre\" is \"llama-bpe\", which is not supported; expected \"gpt-2\"");
  EXPECT_EQ(error(Bytes(), "tokenizer.ggml.pre", absent), "no error");
  EXPECT_THAT(error(Bytes(), "tokenizer.ggml.merges", absent), HasSubstr("tokenizer.ggml.merges\" is missing"));
  EXPECT_THAT(error(Bytes(), "tokenizer.ggml.merges", std::vector<std::string>{"ab"}),
              HasSubstr("holds \"ab\", expected two pieces with a space between them"));
  EXPECT_THAT(error(Bytes(), "tokenizer.ggml.merges", std::vector<std::string>{"q zz"}), HasSubstr("zz"));
  EXPECT_THAT(error(Bytes(), "tokenizer.ggml.tokens", std::vector<std::string>{"a", "a"}), HasSubstr(at));
  EXPECT_THAT(error(Bytes(), "tokenizer.ggml.tokens", std::vector<int32_t>{1}),
              HasSubstr("expected an array of strings"));
  EXPECT_THAT(error(Bytes(), "tokenizer.ggml.token_type", std::vector<int32_t>{1, 1}),
              HasSubstr("has 2 elements, expected one for each of the 512 tokens"));
  EXPECT_THAT(error(Bytes(), "tokenizer.ggml.token_type", std::vector<int32_t>(512, 7)),
              HasSubstr("holds 7, expected whole numbers from 1 to 6"));
  EXPECT_THAT(error(Bytes(), "tokenizer.ggml.add_bos_token", uint32_t{1}), HasSubstr("is 1, expected a bool"));
  EXPECT_THAT(error(Bytes(), "tokenizer.ggml.eos_token_id", std::string("x")), HasSubstr("expected a whole number"));
  EXPECT_EQ(error(Bytes(), "tokenizer.ggml.eos_token_id", uint32_t{0xffffffff}), "no error");
  EXPECT_THAT(error(Pieces(), "tokenizer.ggml.scores", absent), HasSubstr("tokenizer.ggml.scores\" is missing"));
  EXPECT_THAT(error(Pieces(), "tokenizer.ggml.scores", std::vector<float>(3)),
              HasSubstr("has 3 elements, expected one for each of the"));
  EXPECT_THAT(error(Pieces(), "tokenizer.ggml.scores", std::vector<float>(512, NAN)), HasSubstr(at));
}

}  // namespace
}  // namespace kinetok
