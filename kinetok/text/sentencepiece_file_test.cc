#include "kinetok/text/sentencepiece_file.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/text/sentencepiece_cases.h"
#include "kinetok/text/tokenizer.h"

namespace kinetok {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const Tokenizer> Read(const std::string& bytes) {
  return MakeSentencePieceTokenizer(ReadSentencePieceModel(bytes, "tokenizer.model"), "tokenizer.model");
}

TEST(SentencePieceFileTest, BrokenAndUnsupportedFilesAreRefusedWithTheField) {
  for (const BrokenModel& broken : BrokenModels()) {
    try {
      Read(broken.bytes);
      ADD_FAILURE() << "no error: " << broken.message[0];
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), testing::StartsWith("tokenizer.model"));
      for (const std::string& part : broken.message) EXPECT_THAT(e.what(), HasSubstr(part));
    }
  }
}

TEST(SentencePieceFileTest, EveryCutOfAFileIsAnErrorOrAModel) {
  const std::string valid = ModelFile(SmallPieces());
  for (size_t size = 0; size < valid.size(); size += 3) {
    EXPECT_THROW(Read(valid.substr(0, size)), Error) << size;  // without its last fields it is not a BPE model
  }
}

TEST(SentencePieceFileTest, TheBestScoreGoesFirstAndTheLeftmostOnTies) {
  const int32_t first = 3 + 256;  // "ab" "▁a" "bc" "▁ab" "▁오늘" "오늘" "▁" "a" "b" "c" "오" "늘"
  const auto tokenizer = Read(ModelFile(SmallPieces()));
  EXPECT_THAT(tokenizer->Encode("abc"), ElementsAre(first + 3, first + 9));         // "▁ab" "c": "ab" beats "bc"
  EXPECT_THAT(tokenizer->Encode("오늘"), ElementsAre(first + 4));                   // by way of "오늘"
  EXPECT_THAT(tokenizer->Encode("é"), ElementsAre(first + 6, 3 + 0xC3, 3 + 0xA9));  // "▁" and two bytes
  std::vector<SentencePiece> pieces = SmallPieces(false);
  for (SentencePiece& piece : pieces) piece.score = 0;
  pieces.push_back({"aa", 0, PieceType::kNormal});
  const auto ties = Read(ModelFile(pieces));
  const auto id = [&](const char* piece) { return ties->TokenId(piece).value(); };
  EXPECT_THAT(ties->Encode("caaa"), ElementsAre(id("▁"), id("c"), id("aa"), id("a")));
  EXPECT_THAT(ties->Encode("xyz a"), ElementsAre(id("▁"), 0, id("▁a")));  // unknown characters in a row are one
}

TEST(SentencePieceFileTest, SpecialPiecesTypedInATextAreFoundUnlessTheyArePlain) {
  std::vector<SentencePiece> pieces = SmallPieces();
  pieces.push_back({"<tool>", 0, PieceType::kUserDefined});
  const auto tokenizer = Read(ModelFile(pieces));
  const auto tool = static_cast<int32_t>(pieces.size()) - 1;
  const int32_t a = tokenizer->TokenId("▁a").value();
  EXPECT_THAT(tokenizer->Encode("a<s>a<tool>a"), ElementsAre(a, 1, a, tool, a));
  const auto plain = tokenizer->Encode("a<s><tool>", {.parse_special = false});
  EXPECT_EQ(std::ranges::count(plain, 1), 0);
  EXPECT_EQ(plain.back(), tool);  // a part of the text, not special
  EXPECT_EQ(tokenizer->Decode(plain), "a<s><tool>");
  EXPECT_TRUE(tokenizer->IsSpecial(0));
  EXPECT_FALSE(tokenizer->IsSpecial(tool));
}

TEST(SentencePieceFileTest, AnUnusedPieceFallsApartIntoWhatItWasMadeOf) {
  std::vector<SentencePiece> pieces = SmallPieces();
  for (SentencePiece& piece : pieces) {
    if (piece.text == "ab" || piece.text == "▁ab") piece.type = PieceType::kUnused;
  }
  const auto tokenizer = Read(ModelFile(pieces));
  const auto id = [&](const char* piece) { return tokenizer->TokenId(piece).value(); };
  EXPECT_THAT(tokenizer->Encode("ab"), ElementsAre(id("▁"), id("a"), id("b")));
}

TEST(SentencePieceFileTest, TheConfigurationBesideItSaysWhatIsAddedAround) {
  const std::filesystem::path directory = testing::TempDir() + "/kinetok_sentencepiece_test";
  std::filesystem::create_directories(directory);
  WriteFileAtomically(directory / "tokenizer.model", ModelFile(SmallPieces()));
  const auto load = [&](const char* config) {
    WriteFileAtomically(directory / "tokenizer_config.json", config);
    return Tokenizer::Load(directory);
  };
  const auto plain = load("{}");
  const int32_t a = plain->TokenId("▁a").value(), bare = plain->TokenId("a").value();
  EXPECT_THAT(plain->Encode("a", {.special = true}), ElementsAre(1, a));
  EXPECT_THAT(load(R"({"add_bos_token": false, "add_eos_token": true})")->Encode("a", {.special = true}),
              ElementsAre(a, 2));
  EXPECT_THAT(load(R"({"legacy": false})")->Encode("a</s>a"), ElementsAre(a, 2, bare));
  EXPECT_THAT(load(R"({"legacy": true})")->Encode("a</s>a"), ElementsAre(a, 2, a));
  EXPECT_THAT(load(R"({"add_prefix_space": false})")->Encode("a"), ElementsAre(bare));
  const auto padded =
      load(R"({"pad_token": "<PAD>", "added_tokens_decoder": {"271": {"content": "<PAD>", "special": true}}})");
  EXPECT_EQ(padded->pad_id(), std::optional(271));
  EXPECT_THAT(padded->Encode("<PAD>"), ElementsAre(271));
  EXPECT_THROW(load(R"({"added_tokens_decoder": {"5": {"content": "<PAD>"}}})"), Error);
  EXPECT_THROW(load(R"({"added_tokens_decoder": {"x": {"content": "<PAD>"}}})"), Error);
  std::filesystem::remove(directory / "tokenizer_config.json");
  WriteFileAtomically(directory / "added_tokens.json", R"({"<PAD>": 271})");
  EXPECT_EQ(Tokenizer::Load(directory)->pad_id(), std::optional(271));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace kinetok
