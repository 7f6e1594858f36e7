#include "kinetok/text/tokenizer_trainer.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/base/json.h"

namespace kinetok {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const Tokenizer> TrainBpe(std::string_view text, BytesBpeOptions options) {
  BytesBpeTrainer trainer(std::move(options));
  trainer.Add(text);
  return trainer.Train();
}

std::vector<std::string> LearnedPieces(const Tokenizer& tokenizer, int32_t first) {
  std::vector<std::string> pieces;
  for (int32_t id = first; id < tokenizer.vocab_size(); ++id) pieces.emplace_back(tokenizer.Piece(id));
  return pieces;
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

// The expected pieces were made with ByteLevelBPETokenizer.train_from_iterator of Hugging Face's tokenizers 0.23.3.
TEST(BytesBpeTrainerTest, LearnsTheMergesThatHuggingFaceLearns) {
  const auto tokenizer = TrainBpe("hello hello", {.vocab_size = 300});
  EXPECT_THAT(LearnedPieces(*tokenizer, 257), ElementsAre("el", "hel", "lo", "hello"));
  EXPECT_EQ(tokenizer->Piece(0), "<|endoftext|>");
  EXPECT_EQ(tokenizer->Piece(1), "!");
  EXPECT_EQ(tokenizer->Piece(256), "Ń");
}

TEST(BytesBpeTrainerTest, RunsOfOneLetterCountOverlappingPairs) {
  const auto tokenizer = TrainBpe("aaaaa aaaa aaa", {.vocab_size = 262, .special_tokens = {}});
  EXPECT_EQ(tokenizer->Piece(256), "aa");
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("aaaaaaa aa")), "aaaaaaa aa");
}

TEST(BytesBpeTrainerTest, RarePairsAreNotMerged) {
  EXPECT_EQ(TrainBpe("abcd", {.vocab_size = 300})->vocab_size(), 257);
  EXPECT_EQ(TrainBpe("abcd", {.vocab_size = 300, .min_frequency = 1})->vocab_size(), 260);
}

TEST(BytesBpeTrainerTest, StopsAtTheSizeAskedFor) {
  EXPECT_EQ(TrainBpe("the cat sat on the mat the cat", {.vocab_size = 259})->vocab_size(), 259);
}

TEST(BytesBpeTrainerTest, SpecialTokensInTheTextTeachNothing) {
  const auto tokenizer = TrainBpe("ab<|endoftext|>cd<|endoftext|>ab", {.vocab_size = 300});
  EXPECT_THAT(LearnedPieces(*tokenizer, 257), ElementsAre("ab"));
}

TEST(BytesBpeTrainerTest, TheSameTextsGiveTheSameFileInAnyOrder) {
  const std::string_view texts[] = {"오늘 날씨가 좋다. 오늘은 춥다.", "to be or not to be, that is the question",
                                    "오늘 날씨가 to be"};
  BytesBpeTrainer forward({.vocab_size = 330}), backward({.vocab_size = 330});
  for (int i = 0; i < 3; ++i) {
    forward.Add(texts[i]);
    backward.Add(texts[2 - i]);
  }
  const std::string json = forward.Train()->ToJson();
  EXPECT_EQ(json, forward.Train()->ToJson());
  EXPECT_EQ(json, backward.Train()->ToJson());
  EXPECT_THAT(json, HasSubstr("merges"));
}

TEST(BytesBpeTrainerTest, SavedAndLoadedItGivesTheSameIds) {
  const std::string text = "오늘 날씨가 좋네요. It's 25 degrees!\n\n오늘 날씨가 <|endoftext|> 😀";
  const auto trained = TrainBpe(text + text, {.vocab_size = 300, .special_tokens = {"<|endoftext|>", "<|user|>"}});
  const std::filesystem::path directory = testing::TempDir() + "/kinetok_trained_bpe";
  trained->Save(directory);
  for (const auto& path : {directory, directory / "tokenizer.json"}) {
    const auto loaded = Tokenizer::Load(path);
    EXPECT_EQ(loaded->Encode(text), trained->Encode(text));
    EXPECT_EQ(loaded->Encode("<|user|>hi"), trained->Encode("<|user|>hi"));
    EXPECT_EQ(loaded->vocab_size(), trained->vocab_size());
    EXPECT_EQ(loaded->eos_id(), std::optional(0));
    EXPECT_EQ(loaded->Decode(loaded->Encode(text)), text);
    EXPECT_EQ(loaded->ToJson(), trained->ToJson());
  }
  EXPECT_LT(trained->Encode("오늘 날씨가").size(), 16u);  // fewer than its bytes: something was learned
  std::filesystem::remove_all(directory);
}

TEST(BytesBpeTrainerTest, RefusesWhatCannotWork) {
  EXPECT_THAT(ErrorOf([] { BytesBpeTrainer({.vocab_size = 256}); }),
              HasSubstr("vocab_size is 256; it must be from 257 (256 bytes and 1 special tokens)"));
  EXPECT_THAT(ErrorOf([] { BytesBpeTrainer({.min_frequency = 0}); }), HasSubstr("min_frequency is 0"));
  EXPECT_THAT(ErrorOf([] { BytesBpeTrainer({.special_tokens = {"<a>", "<a>"}}); }), HasSubstr("\"<a>\" appears twice"));
  EXPECT_THAT(ErrorOf([] { BytesBpeTrainer({.special_tokens = {"!"}}); }), HasSubstr("the piece of a byte"));
  EXPECT_THAT(ErrorOf([] { BytesBpeTrainer({.special_tokens = {""}}); }), HasSubstr("empty"));
  EXPECT_THAT(ErrorOf([] { BytesBpeTrainer().Add("ab\xFF"); }), HasSubstr("not valid UTF-8 at byte 2 (0xFF)"));
}

TEST(CharTrainerTest, IdsFollowCodePoints) {
  CharTrainer trainer;
  trainer.Add("날씨 ba");
  trainer.Add("a😀\n");
  const auto tokenizer = trainer.Train();
  EXPECT_EQ(tokenizer->vocab_size(), 7);
  EXPECT_THAT(tokenizer->Encode("\n ab날씨😀"), ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{4, 5}), "날씨");
  EXPECT_EQ(tokenizer->eos_id(), std::nullopt);
}

TEST(CharTrainerTest, SavedAndLoadedItGivesTheSameIds) {
  CharTrainer trainer({"<|endoftext|>"});
  trainer.Add("오늘 날씨가 \"좋다\"\\\n\t");
  const auto trained = trainer.Train();
  const std::filesystem::path directory = testing::TempDir() + "/kinetok_trained_char";
  trained->Save(directory);
  const auto loaded = Tokenizer::Load(directory);
  EXPECT_EQ(loaded->Encode("오늘<|endoftext|>\n\""), trained->Encode("오늘<|endoftext|>\n\""));
  EXPECT_EQ(loaded->eos_id(), std::optional(trained->vocab_size() - 1));
  EXPECT_EQ(loaded->ToJson(), trained->ToJson());
  std::filesystem::remove_all(directory);
}

TEST(CharTrainerTest, AnUnknownCharacterIsAnErrorThatNamesIt) {
  CharTrainer trainer;
  trainer.Add("오늘");
  const auto tokenizer = trainer.Train();
  EXPECT_EQ(ErrorOf([&] { tokenizer->Encode("오늘도"); }),
            "character \"도\" (U+B3C4) at byte 6 of the text is not in the vocabulary of 2 characters");
  EXPECT_THAT(ErrorOf([] { CharTrainer().Train(); }), HasSubstr("needs text"));
}

}  // namespace
}  // namespace kinetok
