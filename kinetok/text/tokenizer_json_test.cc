#include <gmock/gmock.h>

#include <functional>
#include <string>

#include "kinetok/base/error.h"
#include "kinetok/base/json.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/text/tokenizer_json_cases.h"
#include "kinetok/text/tokenizer_trainer.h"

namespace kinetok {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const Tokenizer> Read(const Json& json) {
  return Tokenizer::FromJson(json.dump(), "tokenizer.json");
}

std::string ErrorOf(const Json& json) {
  try {
    Read(json);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

void ExpectErrors(const Json& valid, const std::vector<Fault>& faults) {
  ASSERT_EQ(ErrorOf(valid), "no error");
  for (const Fault& fault : faults) {
    Json json = valid;
    json[Json::json_pointer(fault.pointer)] = fault.value;
    const std::string error = ErrorOf(json);
    EXPECT_THAT(error, HasSubstr("tokenizer.json")) << fault.pointer << " " << fault.value;
    for (const std::string& part : fault.message) EXPECT_THAT(error, HasSubstr(part)) << fault.value;
  }
}

TEST(TokenizerJsonTest, WhatIsNotSupportedIsRefusedByName) {
  ExpectErrors(ValidBpe(), UnsupportedBpe());
  ExpectErrors(ValidChar(), UnsupportedChar());
  ExpectErrors(ValidWordPiece(), {{"/model/vocab/[UNK]", nullptr, {"\"[UNK]\" has id null"}},
                                  {"/model/unk_token", "<unk>", {"lacks the unknown token \"<unk>\""}},
                                  {"/model/max_input_chars_per_word", -1, {"\"max_input_chars_per_word\" is -1"}},
                                  {"/model/vocab/ab", 0, {"the same id 0"}},
                                  {"/pre_tokenizer", {{"type", "ByteLevel"}}, {"ByteLevel with a WordPiece"}}});
  ExpectErrors(ValidLlama(), {{"/model/unk_token", "<none>", {"\"unk_token\" is \"<none>\""}},
                              {"/model/merges/0", "▁ zz", {"merge 0", "the piece \"zz\""}},
                              {"/model/continuing_subword_prefix", "##", {"lacks the prefix \"##\""}},
                              {"/model/dropout", 0.5, {"\"dropout\" is 0.5"}}});
}

TEST(TokenizerJsonTest, BrokenFilesAreRefusedWithTheField) {
  ExpectErrors(ValidBpe(), BrokenBpe());
  for (const std::string text : {"", "{", "[]", "null", "\xFF", "{\"model\": {\"type\": \"BPE\"}}"}) {
    EXPECT_THROW(Tokenizer::FromJson(text, "t"), Error) << text;
  }
}

TEST(TokenizerJsonTest, MergesMayBeStringsOrPairs) {
  const Json pairs = ValidBpe();
  Json strings = pairs;
  for (Json& merge : strings["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  ASSERT_NE(pairs, strings);
  EXPECT_EQ(Read(pairs)->Encode("abc ab"), Read(strings)->Encode("abc ab"));
  EXPECT_EQ(Read(pairs)->ToJson(), Read(strings)->ToJson());
}

TEST(TokenizerJsonTest, IdsMayHaveHoles) {
  Json json = ValidBpe();
  const auto size = Read(json)->vocab_size();
  json["added_tokens"].push_back({{"id", size + 10}, {"content", "<tool>"}});
  const auto tokenizer = Read(json);
  EXPECT_EQ(tokenizer->vocab_size(), size + 11);
  EXPECT_FALSE(tokenizer->Has(size + 5));
  EXPECT_TRUE(tokenizer->Has(size + 10));
  EXPECT_THROW(tokenizer->Decode(std::vector{size + 5}), Error);
  EXPECT_EQ(tokenizer->Encode("<tool>"), std::vector{size + 10});
  EXPECT_EQ(tokenizer->Decode(std::vector{size + 10}), "<tool>");
}

TEST(TokenizerJsonTest, APrefixSpaceIsAddedToEveryStretchOfText) {
  Json json = ValidBpe();
  json["pre_tokenizer"]["add_prefix_space"] = true;
  const auto plain = Read(ValidBpe()), prefixed = Read(json);
  EXPECT_EQ(prefixed->Encode("ab<|endoftext|>ab"), plain->Encode(" ab<|endoftext|> ab"));
  EXPECT_EQ(prefixed->Encode(" ab"), plain->Encode(" ab"));
}

TEST(TokenizerJsonTest, WithoutTheRegexAStretchIsOneWord) {
  Json json = ValidBpe();
  json["pre_tokenizer"]["use_regex"] = false;
  json["model"]["vocab"]["bĠ"] = 262;
  json["model"]["merges"].insert(json["model"]["merges"].begin(), Json::array({"b", "Ġ"}));
  EXPECT_THAT(Read(json)->Encode("b b"), ElementsAre(262, Read(json)->TokenId("b").value()));
}

TEST(TokenizerJsonTest, IgnoreMergesTakesAWholeWordAsItsPiece) {
  Json json = ValidBpe();
  json["model"]["vocab"]["qq"] = 262;
  EXPECT_EQ(Read(json)->Encode("qq").size(), 2u);
  json["model"]["ignore_merges"] = true;
  EXPECT_THAT(Read(json)->Encode("qq"), ElementsAre(262));
}

TEST(TokenizerJsonTest, AddedTokensMayStripTheSpaceAroundThem) {
  Json json = ValidBpe();
  json["added_tokens"].push_back({{"id", 262}, {"content", "<mask>"}, {"lstrip", true}, {"special", true}});
  json["added_tokens"].push_back({{"id", 263}, {"content", "<sep>"}, {"rstrip", true}, {"special", true}});
  const auto tokenizer = Read(json);
  const int32_t a = tokenizer->TokenId("a").value();
  EXPECT_THAT(tokenizer->Encode("a \u3000<mask>a<sep> \na"), ElementsAre(a, 262, a, 263, a));
  EXPECT_EQ(Tokenizer::FromJson(tokenizer->ToJson(), "copy")->Encode("a <mask>"), tokenizer->Encode("a <mask>"));
}

TEST(TokenizerJsonTest, TheTemplateIsAddedOnRequest) {
  Json json = ValidBpe();
  json["added_tokens"].push_back({{"id", 262}, {"content", "<s>"}, {"special", true}});
  json["post_processor"] = Json::parse(R"({"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                 {"SpecialToken": {"id": "end", "type_id": 0}}],
      "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [262], "tokens": ["<s>"]},
                                     "end": {"id": "end", "ids": [0], "tokens": ["<|endoftext|>"]}}})");
  const auto tokenizer = Read(json);
  const int32_t a = tokenizer->TokenId("a").value();
  EXPECT_THAT(tokenizer->Encode("a"), ElementsAre(a));
  EXPECT_THAT(tokenizer->Encode("a", {.special = true}), ElementsAre(262, a, 0));
  EXPECT_EQ(tokenizer->bos_id(), std::optional(262));
  const auto copy = Tokenizer::FromJson(tokenizer->ToJson(), "copy");
  EXPECT_THAT(copy->Encode("a", {.special = true}), ElementsAre(262, a, 0));

  ExpectErrors(json, {
                         {"/post_processor/special_tokens/end/ids", {999}, {"999"}},
                         {"/post_processor/special_tokens/end/ids", {"0"}, {"\"0\""}},
                         {"/post_processor/special_tokens/end", nullptr, {"\"end\" is null"}},
                         {"/post_processor/single", Json::array(), {"0 times"}},
                         {"/post_processor/single/1", {{"Sequence", {{"id", "B"}}}}, {"\"id\" is \"B\""}},
                     });
}

TEST(TokenizerJsonTest, LlamasFormFallsBackToBytes) {
  const auto tokenizer = Read(ValidLlama());
  const auto byte = [](int b) { return b + 2; };
  EXPECT_THAT(tokenizer->Encode("ab é", {.special = true}), ElementsAre(1, 260, 261, byte(0xC3), byte(0xA9)));
  EXPECT_THAT(tokenizer->Encode("ab<s>a"), ElementsAre(260, 1, 258));
  EXPECT_EQ(tokenizer->Decode(std::vector{1, 260, 261, byte(0xC3), byte(0xA9)}, {.skip_special = true}), "ab é");
  // Bytes that are no character: each is U+FFFD, and in a whole text so are those beside them.
  const std::vector<int32_t> broken = {byte(0xE2), byte(0xC3), byte(0xA9), 262};
  EXPECT_EQ(tokenizer->Decode(broken), "\uFFFD\uFFFD\uFFFDa");
  StreamDecoder stream(*tokenizer);
  std::string streamed;
  for (const int32_t id : broken) streamed += stream.Push(id);
  EXPECT_EQ(streamed + stream.Finish(), "\uFFFDéa");
}

TEST(TokenizerJsonTest, CuttingBeforeSpacesChangesNoId) {
  Json json = ValidLlama();
  const auto cut = Read(json);
  json["model"]["vocab"]["b▁"] = 264;  // a piece over a space: the text is taken whole
  json["model"]["merges"].push_back("b ▁");
  const auto whole = Read(json);
  EXPECT_THAT(whole->Encode("b b"), ElementsAre(261, 264, 263));
  for (const char* text : {"ab ab  a b", "   ", "é é"}) {
    const auto ids = cut->Encode(text);
    EXPECT_EQ(cut->Encode(text + std::string(" ") + text), [&] {
      auto twice = ids;
      twice.insert(twice.end(), ids.begin(), ids.end());
      return twice;
    }()) << text;
  }
}

TEST(TokenizerJsonTest, AMergeOfReplacementsCannotGrowWithoutEnd) {
  Json json = ValidLlama();
  Json steps = Json::array();
  for (int i = 0; i < 20; ++i) {
    steps.push_back({{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(100, 'a')}});
  }
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  const auto tokenizer = Read(json);
  EXPECT_THAT([&] { tokenizer->Encode("a"); }, testing::ThrowsMessage<Error>(HasSubstr("more than 1048640 bytes")));
}

TEST(TokenizerJsonTest, UnknownCharactersTakeTheUnknownTokenWhenThereIsOne) {
  Json json = ValidChar();
  EXPECT_THROW(Read(json)->Encode("z"), Error);
  json["model"]["vocab"]["<unk>"] = 3;
  EXPECT_THAT(Read(json)->Encode("az"), ElementsAre(0, 3));
}

TEST(TokenizerJsonTest, AByteWithoutAPieceIsAnErrorNotASilence) {
  Json json = ValidBpe();
  json["model"]["vocab"].erase("!");
  EXPECT_THROW(Read(json)->Encode("a!"), Error);
  json["model"]["unk_token"] = "<|endoftext|>";
  EXPECT_THAT(ErrorOf(json), HasSubstr("\"unk_token\""));
}

}  // namespace
}  // namespace kinetok
