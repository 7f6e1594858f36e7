#include "kinetok/text/tokenizer_builder.h"

#include <gmock/gmock.h>

#include "kinetok/base/error.h"
#include "kinetok/base/json.h"
#include "kinetok/text/sentencepiece_cases.h"
#include "kinetok/text/tokenizer_json_cases.h"

namespace kinetok {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kText = "ab <s> abc é 오늘 cafè!";

template <class F>
std::string ErrorOf(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(TokenizerBuilderTest, SentencePiecesComeBackAsTheyWentIn) {
  for (const bool prefix_after_special : {true, false}) {
    for (const bool with_bytes : {true, false}) {
      SentencePieceVocabulary vocabulary;
      vocabulary.pieces = SmallPieces(with_bytes);
      vocabulary.prefix_after_special = prefix_after_special;
      vocabulary.ids = {.bos = 1, .eos = 2, .unk = 0};
      vocabulary.add_eos = true;
      const auto tokenizer = MakeSentencePieceTokenizer(vocabulary, "pieces");
      const auto back = SentencePieceVocabularyOf(*tokenizer);
      ASSERT_TRUE(back);
      EXPECT_EQ(back->prefix_after_special, prefix_after_special);
      EXPECT_TRUE(back->add_bos && back->add_eos && back->add_dummy_prefix);
      EXPECT_EQ(back->ids.eos, std::optional(2));
      ASSERT_EQ(back->pieces.size(), vocabulary.pieces.size());
      const auto copy = MakeSentencePieceTokenizer(*back, "copy");
      const auto json = Tokenizer::FromJson(tokenizer->ToJson(), "json");
      for (const auto& other : {copy, json}) {
        EXPECT_EQ(other->Encode(kText, {.special = true}), tokenizer->Encode(kText, {.special = true}));
        EXPECT_EQ(other->Decode(tokenizer->Encode(kText)), tokenizer->Decode(tokenizer->Encode(kText)));
      }
      const auto converted = SentencePieceVocabularyOf(*json);
      ASSERT_TRUE(converted);
      EXPECT_EQ(MakeSentencePieceTokenizer(*converted, "c")->Encode(kText), tokenizer->Encode(kText));
    }
  }
}

TEST(TokenizerBuilderTest, ByteLevelPiecesComeBackAsTheyWentIn) {
  const auto trained = Tokenizer::FromJson(ValidBpe().dump(), "trained");
  const auto vocabulary = ByteLevelVocabularyOf(*trained);
  ASSERT_TRUE(vocabulary);
  EXPECT_EQ(vocabulary->pieces.size(), static_cast<size_t>(trained->vocab_size()));
  EXPECT_THAT(vocabulary->special, ElementsAre(0));
  const auto copy = MakeByteLevelBpeTokenizer(*vocabulary, "copy");
  EXPECT_EQ(copy->ToJson(), trained->ToJson());
  ByteLevelVocabulary with_bos = *vocabulary;
  with_bos.add_bos = true;
  EXPECT_THAT(MakeByteLevelBpeTokenizer(with_bos, "copy")->Encode("a", {.special = true}).front(), 0);
  EXPECT_FALSE(SentencePieceVocabularyOf(*trained) || WordPieceVocabularyOf(*trained));
}

TEST(TokenizerBuilderTest, WordPiecesComeBackAsTheyWentIn) {
  const auto bert = Tokenizer::FromJson(ValidWordPiece().dump(), "bert");
  const auto vocabulary = WordPieceVocabularyOf(*bert);
  ASSERT_TRUE(vocabulary);
  EXPECT_TRUE(vocabulary->lower_case && !vocabulary->strip_accents && vocabulary->chinese_characters);
  const auto copy = MakeWordPieceTokenizer(*vocabulary, "copy");
  EXPECT_THAT(bert->Encode("ABC Café!", {.special = true}), ElementsAre(1, 3, 4, 7, 5, 2));
  EXPECT_EQ(copy->Encode(kText, {.special = true}), bert->Encode(kText, {.special = true}));
  EXPECT_FALSE(SentencePieceVocabularyOf(*bert) || ByteLevelVocabularyOf(*bert));
  WordPieceVocabulary cased = *vocabulary;
  cased.lower_case = false;
  EXPECT_THAT(MakeWordPieceTokenizer(cased, "cased")->Encode("ABC"), ElementsAre(0));
  EXPECT_FALSE(WordPieceVocabularyOf(*MakeWordPieceTokenizer(cased, "cased"))->lower_case);
}

TEST(TokenizerBuilderTest, WhatDoesMoreThanAVocabularyCanSayHasNone) {
  Json json = ValidLlama();
  EXPECT_TRUE(SentencePieceVocabularyOf(*Tokenizer::FromJson(json.dump(), "llama")));
  json["normalizer"] = {{"type", "NFC"}};
  EXPECT_FALSE(SentencePieceVocabularyOf(*Tokenizer::FromJson(json.dump(), "llama")));
  json = ValidBpe();
  json["added_tokens"][0]["lstrip"] = true;
  EXPECT_FALSE(ByteLevelVocabularyOf(*Tokenizer::FromJson(json.dump(), "bpe")));
  json = ValidWordPiece();
  json["normalizer"]["clean_text"] = false;
  EXPECT_FALSE(WordPieceVocabularyOf(*Tokenizer::FromJson(json.dump(), "bert")));
}

TEST(TokenizerBuilderTest, PiecesThatCannotBeAreRefused) {
  SentencePieceVocabulary sentence;
  sentence.pieces = SmallPieces();
  sentence.ids.bos = 999;
  EXPECT_THAT(ErrorOf([&] { MakeSentencePieceTokenizer(sentence, "m.gguf"); }),
              HasSubstr("m.gguf: the bos token has id 999"));
  ByteLevelVocabulary bytes{.pieces = {"a", "b"}, .merges = {{"a", "b"}}, .special = {}, .user_defined = {}, .ids = {}};
  EXPECT_THAT(ErrorOf([&] { MakeByteLevelBpeTokenizer(bytes, "m.gguf"); }),
              HasSubstr("m.gguf: merge 0 (\"a\" + \"b\") needs the piece \"ab\""));
  bytes.merges.clear();
  bytes.special = {7};
  EXPECT_THAT(ErrorOf([&] { MakeByteLevelBpeTokenizer(bytes, "m.gguf"); }), HasSubstr("token 7 is marked as special"));
  bytes.special.clear();
  bytes.pieces.emplace_back("\xFF");
  EXPECT_THAT(ErrorOf([&] { MakeByteLevelBpeTokenizer(bytes, "m.gguf"); }), HasSubstr("id 2 is not valid UTF-8"));
  WordPieceVocabulary words{.pieces = {"a", "a"}, .strip_accents = {}, .ids = {}};
  EXPECT_THAT(ErrorOf([&] { MakeWordPieceTokenizer(words, "m.gguf"); }), HasSubstr("piece \"a\" appears twice"));
  words.pieces = {"a", "b"};
  EXPECT_THAT(ErrorOf([&] { MakeWordPieceTokenizer(words, "m.gguf"); }),
              HasSubstr("lacks the unknown token \"[UNK]\""));
}

}  // namespace
}  // namespace kinetok
