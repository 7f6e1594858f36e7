#include "kinetok/text/tokenizer.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/base/random.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path kGpt2 = std::filesystem::path(KINETOK_SHARED_DATA) / "gpt2";

class Gpt2Test : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (std::filesystem::exists(kGpt2)) gpt2_ = Tokenizer::Load(kGpt2);
  }
  static void TearDownTestSuite() { gpt2_ = nullptr; }
  void SetUp() override {
    if (!gpt2_) GTEST_SKIP() << "skipped: no reference data";
  }
  inline static std::shared_ptr<const Tokenizer> gpt2_;
};

std::shared_ptr<const Tokenizer> Small() {
  static const auto tokenizer = [] {
    BytesBpeTrainer trainer({.vocab_size = 300, .special_tokens = {"<|endoftext|>", "<|end|>", "<|end|>x"}});
    trainer.Add("오늘 날씨가 좋다. the weather is good today, the weather was good. 오늘 날씨가 춥다.");
    return trainer.Train();
  }();
  return tokenizer;
}

// All code points that are not surrogates, in pieces of text with steps between them.
std::string SampledCodePoints(char32_t step) {
  std::string text;
  for (char32_t c = 0; c <= 0x10FFFF; c += step) {
    if (c < 0xD800 || c > 0xDFFF) AppendUtf8(c, text);
  }
  return text;
}

std::string Streamed(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  StreamDecoder stream(tokenizer);
  std::string text;
  for (const int32_t id : ids) {
    const std::string part = stream.Push(id);
    EXPECT_EQ(FindInvalidUtf8(part), std::string::npos);
    text += part;
  }
  return text + stream.Finish();
}

TEST_F(Gpt2Test, HasThePublishedVocabulary) {
  EXPECT_EQ(gpt2_->vocab_size(), 50257);
  EXPECT_EQ(gpt2_->eos_id(), std::optional(50256));
  EXPECT_EQ(gpt2_->Piece(995), "Ġworld");
  EXPECT_EQ(gpt2_->TokenBytes(995), " world");
  EXPECT_EQ(gpt2_->TokenId("Ġworld"), std::optional(995));
  EXPECT_EQ(gpt2_->TokenId(" world"), std::nullopt);
  EXPECT_THAT(gpt2_->Encode("Hello world<|endoftext|>"), ElementsAre(15496, 995, 50256));
}

TEST_F(Gpt2Test, LongWordsMergeAsShortOnesDo) {
  // The words of a text, and the same letters as one run beyond the length at which the merging changes its method.
  for (const std::string& unit : {std::string("a"), std::string("ab"), std::string("the"), std::string("날씨")}) {
    std::string text;
    while (text.size() < 4000) text += unit;
    const auto ids = gpt2_->Encode(text);
    EXPECT_EQ(gpt2_->Decode(ids), text);
    EXPECT_LE(ids.size(), text.size());
  }
  // 64 times "a" is "aaaa" (24794) sixteen times: lowest rank first, leftmost first.
  EXPECT_EQ(gpt2_->Encode(std::string(64, 'a')), std::vector<int32_t>(16, gpt2_->TokenId("aaaa").value()));
}

TEST_F(Gpt2Test, SavesItselfAsATokenizerJsonThatGivesTheSameIds) {
  const auto copy = Tokenizer::FromJson(gpt2_->ToJson(), "copy");
  const std::string text = "Attention is all you need. 오늘 날씨가 ½ 🚀 \n\n  <|endoftext|>" + SampledCodePoints(997);
  EXPECT_EQ(copy->Encode(text), gpt2_->Encode(text));
  EXPECT_EQ(copy->vocab_size(), 50257);
}

TEST(TokenizerTest, WhatIsEncodedDecodesToItself) {
  for (const std::string& text :
       {std::string("오늘 날씨가"), std::string("오늘 날씨가 좋네요 😀👩‍👩‍👧‍👦!"),
        std::string("\0\x01\x7F\r\n\t  ", 8), std::string(), std::string(" "), std::string("naïve ½ Straße"),
        SampledCodePoints(7), SampledCodePoints(251)}) {
    const auto ids = Small()->Encode(text);
    EXPECT_EQ(Small()->Decode(ids), text);
    EXPECT_EQ(Streamed(*Small(), ids), text);
  }
}

TEST(TokenizerTest, AStreamNeverBreaksACharacter) {
  const std::string text = "날씨 😀";
  StreamDecoder stream(*Small());
  std::string out;
  size_t held_back = 0;
  for (const char c : text) {
    std::string piece;  // every byte as its own token
    for (int32_t id = 0; id < Small()->vocab_size() && piece.empty(); ++id) {
      if (Small()->TokenBytes(id) != std::string(1, c)) continue;
      piece = "found";
      const std::string part = stream.Push(id);
      held_back += part.empty();
      out += part;
    }
    ASSERT_EQ(piece, "found");
  }
  EXPECT_EQ(out, text);
  EXPECT_EQ(stream.Finish(), "");
  EXPECT_EQ(held_back, 2u + 2u + 3u);
}

TEST(TokenizerTest, BrokenBytesAreReplacedInAStreamAsInTheWhole) {
  std::vector<int32_t> ids;
  for (uint64_t i = 0; i < 4000; ++i) {
    const auto bits = RandomBits(5, RandomStream::kTest, 0, i);
    ids.push_back(static_cast<int32_t>(UniformBelow(bits, static_cast<uint64_t>(Small()->vocab_size()))));
  }
  const std::string whole = ReplaceInvalidUtf8(Small()->Decode(ids));
  EXPECT_THAT(whole, HasSubstr("\xEF\xBF\xBD"));
  EXPECT_EQ(Streamed(*Small(), ids), whole);

  const auto ids_of_character = Small()->Encode("\U0001F600");
  StreamDecoder stream(*Small());
  EXPECT_EQ(stream.Push(ids_of_character[0]), "");
  EXPECT_EQ(stream.Finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.Finish(), "");
}

TEST(TokenizerTest, SpecialTokensTypedInATextBecomeTheirIds) {
  const auto a = Small()->Encode("a"), b = Small()->Encode(" b");
  EXPECT_THAT(Small()->Encode("a<|endoftext|> b"), ElementsAre(a[0], 0, b[0], b[1]));
  EXPECT_THAT(Small()->Encode("<|end|><|endoftext|>"), ElementsAre(1, 0));
  EXPECT_THAT(Small()->Encode("<|end|>x"), ElementsAre(2));  // the longest
  EXPECT_THAT(Small()->Encode("<<|end|>"), ElementsAre(Small()->TokenId("<").value(), 1));
  EXPECT_EQ(Small()->Encode("<|en").front(), Small()->TokenId("<").value());
}

TEST(TokenizerTest, SpecialTokensStayPlainTextOnRequest) {
  const auto ids = Small()->Encode("a<|endoftext|>", {.parse_special = false});
  EXPECT_THAT(ids, testing::Not(testing::Contains(0)));
  EXPECT_EQ(Small()->Decode(ids), "a<|endoftext|>");
}

TEST(TokenizerTest, DecodingCanLeaveSpecialTokensOut) {
  const auto ids = Small()->Encode("좋다<|endoftext|>.");
  EXPECT_EQ(Small()->Decode(ids), "좋다<|endoftext|>.");
  EXPECT_EQ(Small()->Decode(ids, {.skip_special = true}), "좋다.");
  StreamDecoder stream(*Small(), {.skip_special = true});
  EXPECT_EQ(stream.Push(0), "");
  EXPECT_TRUE(Small()->IsSpecial(0));
  EXPECT_FALSE(Small()->IsSpecial(50));
}

template <class F>
std::string ErrorOf(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(TokenizerTest, TextThatIsNotUtf8IsRefusedWithTheOffset) {
  EXPECT_EQ(ErrorOf([] { Small()->Encode("오늘\xED\xA0\x80"); }), "the text is not valid UTF-8 at byte 6 (0xED)");
  EXPECT_EQ(ErrorOf([] { Small()->Encode("ab\xC3"); }), "the text is not valid UTF-8 at byte 2 (0xC3)");
}

TEST(TokenizerTest, AnIdOutsideTheVocabularyIsAnError) {
  EXPECT_FALSE(Small()->Has(-1));
  EXPECT_FALSE(Small()->Has(300));
  for (const int32_t id : {-1, 300, 2147483647}) {
    EXPECT_THAT(ErrorOf([&] { Small()->Decode(std::vector{id}); }), HasSubstr("not in the tokenizer's vocabulary"));
    EXPECT_THAT(ErrorOf([&] { Small()->Piece(id); }), HasSubstr(std::to_string(id)));
    EXPECT_THAT(ErrorOf([&] { StreamDecoder(*Small()).Push(id); }), HasSubstr(std::to_string(id)));
  }
}

// Folders as published checkpoints carry them.
class LoadTest : public testing::Test {
 protected:
  LoadTest() : directory_(testing::TempDir() + "/kinetok_load_" + std::to_string(getpid())) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    // The vocabulary of the small tokenizer, without its special tokens' marks.
    const Json json = Json::parse(Small()->ToJson());
    vocabulary_ = json["model"]["vocab"];
    for (const Json& merge : json["model"]["merges"]) {
      merges_ += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
    }
  }
  ~LoadTest() override { std::filesystem::remove_all(directory_); }
  void Write(const char* name, const std::string& text) { WriteFileAtomically(directory_ / name, text); }

  std::filesystem::path directory_;
  Json vocabulary_;
  std::string merges_;
};

TEST_F(LoadTest, VocabularyAndMergesLoadUnderBothNames) {
  const std::string text = "오늘 날씨가 the weather<|endoftext|>";
  for (const auto& [vocabulary, merges] : {std::pair("vocab.json", "merges.txt"), {"encoder.json", "vocab.bpe"}}) {
    Write(vocabulary, vocabulary_.dump());
    Write(merges, "#version: 0.2\n" + merges_);
    for (const auto& path : {directory_, directory_ / vocabulary, directory_ / merges}) {
      EXPECT_EQ(Tokenizer::Load(path)->Encode(text), Small()->Encode(text)) << path;
    }
    std::filesystem::remove(directory_ / vocabulary);
  }
}

TEST_F(LoadTest, TheConfigurationNamesBosAndEos) {
  Write("tokenizer.json", Small()->ToJson());
  EXPECT_EQ(Tokenizer::Load(directory_)->eos_id(), std::optional(0));
  Write("tokenizer_config.json", R"({"bos_token": null, "eos_token": {"content": "<|end|>", "lstrip": false}})");
  EXPECT_EQ(Tokenizer::Load(directory_)->bos_id(), std::nullopt);
  EXPECT_EQ(Tokenizer::Load(directory_)->eos_id(), std::optional(1));
  Write("tokenizer_config.json", R"({"eos_token": "</s>"})");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("\"eos_token\" is \"</s>\""));
  Write("tokenizer_config.json", R"({"eos_token": 5})");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("\"eos_token\" is 5"));
}

constexpr const char* kGpt1Vocabulary =
    R"({"<unk>": 0, "a": 1, "b": 2, "a</w>": 3, "b</w>": 4, "ab": 5, "ab</w>": 6, "!</w>": 7})";

TEST_F(LoadTest, Gpt1IsToldByItsMarksOrByTheConfiguration) {
  for (const auto& [vocabulary, merges] :
       {std::pair("vocab.json", "merges.txt"), {"encoder_bpe_40000.json", "vocab_40000.bpe"}}) {
    Write(vocabulary, kGpt1Vocabulary);
    Write(merges, "#version: 0.2\na b\na b</w>\n");
    const auto tokenizer = Tokenizer::Load(directory_);
    EXPECT_THAT(tokenizer->Encode("ab ÁB! abab 오"), ElementsAre(6, 6, 7, 5, 6, 0, 0));  // two jamo
    EXPECT_EQ(tokenizer->unk_id(), std::optional(0));
    EXPECT_EQ(tokenizer->Decode(std::vector{6, 7, 5, 6}), "ab ! abab");
    EXPECT_EQ(tokenizer->TokenBytes(6), "ab ");  // as it reads before another word
    StreamDecoder stream(*tokenizer);
    EXPECT_EQ(stream.Push(6), "ab");  // the space waits for a word
    EXPECT_EQ(stream.Push(7), " !");
    EXPECT_EQ(stream.Finish(), "");
    std::filesystem::remove(directory_ / vocabulary);
    std::filesystem::remove(directory_ / merges);
  }
  Write("vocab.json", kGpt1Vocabulary);
  Write("merges.txt", "a b\n");
  Write("config.json", R"({"model_type": "gpt2"})");
  EXPECT_THAT(Tokenizer::Load(directory_)->Encode("ab"), ElementsAre(5));
  Write("config.json", R"({"model_type": "openai-gpt"})");
  EXPECT_THAT(Tokenizer::Load(directory_)->Encode("ab"), ElementsAre(1, 4));
  Write("config.json", R"({"model_type": 7})");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("\"model_type\" is 7"));
}

TEST_F(LoadTest, AVocabularyListIsBerts) {
  Write("vocab.txt", "[PAD]\n[UNK]\r\n[CLS]\n[SEP]\n[MASK]\ncafe\n##s\n,\nÉ\n");
  const auto bert = Tokenizer::Load(directory_);
  EXPECT_EQ(bert->vocab_size(), 9);
  EXPECT_THAT(bert->Encode("Cafés,[MASK]", {.special = true}), ElementsAre(2, 5, 6, 7, 4, 3));
  EXPECT_THAT(bert->Encode("[MASK]", {.parse_special = false}), testing::Not(testing::Contains(4)));
  EXPECT_EQ(bert->Decode(std::vector{2, 5, 6, 7, 5, 3}), "[CLS] cafes, cafe [SEP]");
  EXPECT_EQ(bert->Decode(std::vector{2, 5, 6, 3}, {.skip_special = true}), "cafes");
  EXPECT_EQ(bert->TokenBytes(5), " cafe");
  EXPECT_EQ(bert->unk_id(), std::optional(1));
  EXPECT_EQ(bert->cls_id(), std::optional(2));
  EXPECT_EQ(bert->sep_id(), std::optional(3));
  EXPECT_EQ(bert->mask_id(), std::optional(4));
  EXPECT_EQ(bert->pad_id(), std::optional(0));
  EXPECT_EQ(bert->bos_id(), std::nullopt);
  Write("tokenizer_config.json", R"({"do_lower_case": false, "strip_accents": false, "mask_token": "cafe"})");
  EXPECT_THAT(Tokenizer::Load(directory_ / "vocab.txt")->Encode("É cafe"), ElementsAre(8, 5));
  EXPECT_EQ(Tokenizer::Load(directory_)->mask_id(), std::optional(5));
  Write("tokenizer_config.json", R"({"do_basic_tokenize": false})");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("\"do_basic_tokenize\" is false"));
  Write("tokenizer_config.json", R"({"unk_token": "<unk>"})");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("\"unk_token\" is \"<unk>\""));
  Write("tokenizer_config.json", "{}");
  Write("vocab.txt", "[UNK]\na\na\n");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("piece \"a\" appears twice, with ids 1 and 2"));
  Write("vocab.txt", "a\n");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("vocab.txt: the vocabulary lacks the unknown"));
  Write("vocab.txt", "\xFF\n");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("vocab.txt is not valid UTF-8 at byte 0"));
}

TEST_F(LoadTest, WhatIsSavedLoadsWithTheSameIds) {
  Write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ncafe\n##s\n,\n");
  const auto bert = Tokenizer::Load(directory_);
  bert->Save(directory_ / "saved");
  const auto saved = Tokenizer::Load(directory_ / "saved");
  EXPECT_EQ(saved->Encode("Cafés, x[MASK]", {.special = true}), bert->Encode("Cafés, x[MASK]", {.special = true}));
  EXPECT_EQ(saved->mask_id(), bert->mask_id());
  EXPECT_EQ(saved->ToJson(), bert->ToJson());
}

TEST_F(LoadTest, FaultyFilesAreNamed) {
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("no tokenizer is here"));
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_ / "absent.json"); }), HasSubstr("absent.json"));
  Write("vocab.json", vocabulary_.dump());
  Write("merges.txt", merges_ + "lonely\n");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("\"lonely\", expected two pieces"));
  Write("merges.txt", merges_ + "q q\n");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("needs the piece \"qq\""));
  Write("merges.txt", "\xFF\xFE");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("merges.txt is not valid UTF-8"));
  Write("merges.txt", merges_);
  Write("vocab.json", R"(["a"])");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("expected a JSON object"));
  Write("vocab.json", R"({"a": 0, "b": 0})");
  EXPECT_THAT(ErrorOf([&] { Tokenizer::Load(directory_); }), HasSubstr("the same id 0"));
}

}  // namespace
}  // namespace kinetok
