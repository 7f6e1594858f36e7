#include <gmock/gmock.h>

#include <functional>
#include <string>

#include "kinetok/base/error.h"
#include "kinetok/base/json.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/text/tokenizer_trainer.h"

namespace kinetok {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Json ValidBpe() {
  BytesBpeTrainer trainer({.vocab_size = 262});
  trainer.Add("ab ab abc abc");
  return Json::parse(trainer.Train()->ToJson());
}

Json ValidChar() {
  CharTrainer trainer;
  trainer.Add("abc");
  return Json::parse(trainer.Train()->ToJson());
}

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

struct Fault {
  std::string pointer;  // what is replaced ...
  Json value;           // ... by this
  std::vector<std::string> message;
};

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
  const Json lowercase = {{"type", "Lowercase"}};
  ExpectErrors(ValidBpe(),
               {
                   {"/model/type", "Unigram", {"\"Unigram\"", "model"}},
                   {"/model/type", 3, {"\"type\"", "3"}},
                   {"/model/dropout", 0.1, {"\"dropout\" is 0.1"}},
                   {"/model/continuing_subword_prefix", "##", {"\"continuing_subword_prefix\" is \"##\""}},
                   {"/model/end_of_word_suffix", "</w>", {"\"end_of_word_suffix\""}},
                   {"/model/byte_fallback", true, {"\"byte_fallback\" is true"}},
                   {"/model/novelty", 1, {"\"novelty\""}},
                   {"/novelty", 1, {"\"novelty\""}},
                   {"/normalizer", lowercase, {"normalizer", "\"Lowercase\""}},
                   {"/pre_tokenizer", {{"type", "Whitespace"}}, {"pre_tokenizer", "\"Whitespace\""}},
                   {"/pre_tokenizer", nullptr, {"pre_tokenizer"}},
                   {"/pre_tokenizer/add_prefix_space", "yes", {"\"add_prefix_space\" is \"yes\""}},
                   {"/pre_tokenizer/trim_offsets", 2, {"\"trim_offsets\""}},
                   {"/decoder", {{"type", "WordPiece"}}, {"decoder", "\"WordPiece\""}},
                   {"/decoder", nullptr, {"\"decoder\""}},
                   {"/post_processor", {{"type", "BertProcessing"}}, {"post_processor", "\"BertProcessing\""}},
                   {"/added_tokens/0/single_word", true, {"\"single_word\" is true"}},
               });
  ExpectErrors(ValidChar(), {
                                {"/pre_tokenizer/pattern/Regex", "\\w+", {"\"Regex\" is \"\\w+\""}},
                                {"/pre_tokenizer/behavior", "Removed", {"\"behavior\" is \"Removed\""}},
                                {"/pre_tokenizer/invert", true, {"\"invert\" is true"}},
                                {"/pre_tokenizer", lowercase, {"pre_tokenizer", "\"Lowercase\""}},
                                {"/decoder", nullptr, {"\"decoder\""}},
                                {"/model/unk_token", nullptr, {"\"unk_token\""}},
                            });
}

TEST(TokenizerJsonTest, BrokenFilesAreRefusedWithTheField) {
  ExpectErrors(ValidBpe(),
               {
                   {"/model", nullptr, {"\"model\""}},
                   {"/model/vocab", Json::array(), {"\"vocab\" is []", "an object"}},
                   {"/model/vocab", nullptr, {"\"vocab\" is null"}},
                   {"/model/vocab/zz", -1, {"\"zz\" has id -1"}},
                   {"/model/vocab/zz", "7", {"\"zz\" has id \"7\""}},
                   {"/model/vocab/zz", 1.5, {"\"zz\" has id 1.5"}},
                   {"/model/vocab/zz", 5, {"the same id 5"}},
                   {"/model/vocab/zz", 70000, {"id 70000", "may be unused"}},
                   {"/model/vocab/zz", uint64_t{18446744073709551615u}, {"id 18446744073709551615"}},
                   {"/model/merges", "a b", {"\"merges\" is \"a b\"", "an array"}},
                   {"/model/merges/0", "ab", {"merges", "entry 0 is \"ab\""}},
                   {"/model/merges/0", "a b c", {"entry 0"}},
                   {"/model/merges/0", {"a", 3}, {"entry 0 is [\"a\",3]"}},
                   {"/model/merges/0", {"a", "b", "c"}, {"entry 0"}},
                   {"/model/merges/0", {"a", "zz"}, {"merge 0", "the piece \"zz\""}},
                   {"/model/merges/0", "q q", {"merge 0", "the piece \"qq\""}},
                   {"/added_tokens", 1, {"\"added_tokens\" is 1"}},
                   {"/added_tokens/0", 1, {"added_tokens: entry 0"}},
                   {"/added_tokens/0/id", 1, {"\"<|endoftext|>\" has id 1", "0"}},
                   {"/added_tokens/0/id", -1, {"\"id\" is -1"}},
                   {"/added_tokens/0/content", nullptr, {"\"content\" is null"}},
                   {"/added_tokens/0/content", "", {"has the id 0 of the piece"}},
                   {"/added_tokens/0/special", 1, {"\"special\" is 1"}},
                   {"/added_tokens/1", {{"id", 262}, {"content", ""}}, {"empty"}},
                   {"/added_tokens/1", {{"id", 3}, {"content", "<new>"}}, {"\"<new>\" has the id 3 of the piece"}},
                   {"/added_tokens/1", {{"id", 0}, {"content", "<|endoftext|>"}}, {"appears twice"}},
                   {"/added_tokens/1", {{"id", 16000000}, {"content", "<new>"}}, {"id 16000000", "may be unused"}},
                   {"/added_tokens/1", {{"id", 17000000}, {"content", "<new>"}}, {"\"id\" is 17000000"}},
               });
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
