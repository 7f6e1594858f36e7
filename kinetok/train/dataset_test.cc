#include "kinetok/train/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/train/train_test_files.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int32_t> AllTokens(const TokenFile& file) {
  std::vector<int32_t> ids(static_cast<size_t>(file.size()));
  file.Read(0, ids);
  return ids;
}

// Runs of white space of many kinds, contractions, numbers, Korean, CRLF and typed special tokens.
std::string DifficultText() {
  std::string text;
  const char* parts[] = {"it's",        "don't 'll",     "  ",    "\n",     "\n\n\n",   "\r\n",
                         "오늘 날씨가", "12345 ",        "\t\tx", "a b  c", "\xC2\xA0", "\xE3\x80\x80",
                         "…!?",         "<|endoftext|>", " word", "Word",   "\n \n",    "é"};
  for (uint64_t i = 0; i < 900; ++i) text += parts[i * i * 2654435761u % 18];
  return text;
}

std::shared_ptr<const Tokenizer> SmallBpe() {
  BytesBpeTrainer trainer({.vocab_size = 330});
  trainer.Add(DifficultText());
  return trainer.Train();
}

std::shared_ptr<const Tokenizer> Characters(const std::string& text) {
  CharTrainer trainer;
  trainer.Add(text);
  return trainer.Train();
}

TEST(DatasetTest, ChunkedTokenisationGivesTheIdsOfTheWholeText) {
  const TemporaryFolder folder;
  const std::string text = DifficultText();
  const auto tokenizer = SmallBpe();
  const fs::path file = folder.Write("a.txt", text);
  const std::vector<int32_t> whole = tokenizer->Encode(text);
  for (const size_t chunk : {1, 2, 3, 7, 16, 64, 1000}) {
    TokeniseOptions options;
    options.separator = DocumentSeparator::kNone;
    options.chunk_bytes = chunk;
    const auto tokens = TokeniseFiles({file}, *tokenizer, options, folder / ("tokens" + std::to_string(chunk)));
    ASSERT_EQ(AllTokens(*tokens), whole) << "chunks of " << chunk << " bytes";
  }
}

TEST(DatasetTest, ACutComesBeforeASpaceThatFollowsAWord) {
  EXPECT_EQ(SafeCut("ab cd", 3), 2u);
  EXPECT_EQ(SafeCut("ab cd", 5), 5u);          // it fits
  EXPECT_EQ(SafeCut("ab  cd", 3), 2u);         // not inside a run of spaces
  EXPECT_EQ(SafeCut("abcdef gh", 3), 6u);      // the first place behind the limit
  EXPECT_EQ(SafeCut("abcdefgh", 3), 8u);       // no place at all
  EXPECT_EQ(SafeCut("a\xC2\xA0 b c", 4), 5u);  // U+00A0 is white space
  EXPECT_EQ(SafeCut("가 나", 4), 3u);
}

TEST(DatasetTest, FilesOfAFolderComeInSortedOrderAndEachEndsWithEos) {
  const TemporaryFolder folder;
  folder.Write("data/b.txt", "bb");
  folder.Write("data/a/z.txt", "aa");
  folder.Write("data/.hidden", "no");
  const auto tokenizer = SmallBpe();
  const auto files = CollectFiles({folder / "data"});
  EXPECT_THAT(files, ElementsAre(folder / "data/a/z.txt", folder / "data/b.txt"));
  const auto tokens = TokeniseFiles(files, *tokenizer, {}, folder / "tokens");
  EXPECT_EQ(tokenizer->Decode(AllTokens(*tokens)), "aa<|endoftext|>bb<|endoftext|>");
}

TEST(DatasetTest, TheRunsOwnFolderIsNoData) {
  const TemporaryFolder folder;
  folder.Write("data/b.txt", "bb");
  folder.Write("data/run/config.json", "{}");
  folder.Write("data/run/data/train.tokens", "no text");
  folder.Write("data/other/run/a.txt", "aa");
  EXPECT_THAT(CollectFiles({folder / "data"}, folder / "data/../data/run"),
              ElementsAre(folder / "data/b.txt", folder / "data/other/run/a.txt"));
  EXPECT_THAT(CollectFiles({folder / "data"}, folder / "elsewhere"), ::testing::SizeIs(4));
  EXPECT_THAT(ErrorOf([&] { CollectFiles({folder / "data/run"}, folder / "data/run"); }),
              HasSubstr("run: is the run's own folder"));
}

TEST(DatasetTest, LinesAndBlankLinesSeparateDocuments) {
  const TemporaryFolder folder;
  const auto tokenizer = SmallBpe();
  const fs::path file = folder.Write("a.txt", "one\ntwo\r\n\n\n\nthree\nfour<|endoftext|>\n\n");
  TokeniseOptions options;
  options.separator = DocumentSeparator::kLine;
  EXPECT_EQ(tokenizer->Decode(AllTokens(*TokeniseFiles({file}, *tokenizer, options, folder / "t"))),
            "one<|endoftext|>two<|endoftext|>three<|endoftext|>four<|endoftext|>");
  options.separator = DocumentSeparator::kBlankLine;
  EXPECT_EQ(tokenizer->Decode(AllTokens(*TokeniseFiles({file}, *tokenizer, options, folder / "t"))),
            "one\ntwo<|endoftext|>three\nfour<|endoftext|>");
}

TEST(DatasetTest, SpecialTokensInTheTextAreParsedOrTakenAsText) {
  const TemporaryFolder folder;
  const auto tokenizer = SmallBpe();
  const fs::path file = folder.Write("a.txt", "x<|endoftext|>y");
  TokeniseOptions options;
  options.separator = DocumentSeparator::kNone;
  EXPECT_EQ(TokeniseFiles({file}, *tokenizer, options, folder / "t")->size(), 3);
  options.parse_special = false;
  EXPECT_GT(TokeniseFiles({file}, *tokenizer, options, folder / "t")->size(), 5);
}

TEST(DatasetTest, ATokenizerWithoutEosCannotSeparateLines) {
  const TemporaryFolder folder;
  const fs::path file = folder.Write("a.txt", "ab\nba\n");
  const auto tokenizer = Characters("ab\n");
  EXPECT_EQ(AllTokens(*TokeniseFiles({file}, *tokenizer, {}, folder / "t")), tokenizer->Encode("ab\nba\n"));
  TokeniseOptions options;
  options.separator = DocumentSeparator::kLine;
  EXPECT_THAT(ErrorOf([&] { TokeniseFiles({file}, *tokenizer, options, folder / "t"); }),
              HasSubstr("document-separator is \"line\""));
}

TEST(DatasetTest, TheFileIsMadeOnceAndAgainWhenItsSourceChanges) {
  const TemporaryFolder folder;
  const auto tokenizer = SmallBpe();
  const fs::path file = folder.Write("a.txt", "some words here");
  const auto made = [&] {
    bool worked = false;
    TokeniseOptions options;
    options.progress = [&worked](int64_t, int64_t) { worked = true; };
    TokeniseFiles({file}, *tokenizer, options, folder / "tokens");
    return worked;
  };
  EXPECT_TRUE(made());
  EXPECT_FALSE(made());
  folder.Write("a.txt", "some other words here");
  EXPECT_TRUE(made());
  EXPECT_FALSE(made());
  folder.Write("tokens", "garbage");
  EXPECT_TRUE(made());
}

TEST(DatasetTest, BytesThatAreNotUtf8AreNamedByFileAndOffset) {
  const TemporaryFolder folder;
  const fs::path file = folder.Write("bad.txt", "fine \xFF here");
  const auto tokenizer = SmallBpe();
  const std::string error = ErrorOf([&] { TokeniseFiles({file}, *tokenizer, {}, folder / "t"); });
  EXPECT_THAT(error, HasSubstr("bad.txt: is not valid UTF-8 at byte 5 (0xFF)"));
  EXPECT_FALSE(fs::exists(folder / "t"));
}

TEST(DatasetTest, ACharacterThatTheVocabularyLacksIsNamedWithItsFile) {
  const TemporaryFolder folder;
  const fs::path file = folder.Write("odd.txt", "aab?");
  const auto tokenizer = Characters("ab");
  EXPECT_THAT(ErrorOf([&] { TokeniseFiles({file}, *tokenizer, {}, folder / "t"); }), HasSubstr("odd.txt"));
}

TEST(DatasetTest, MissingFilesAndEmptyFoldersAreErrors) {
  const TemporaryFolder folder;
  EXPECT_THAT(ErrorOf([&] { CollectFiles({folder / "nowhere.txt"}); }), HasSubstr("nowhere.txt: no such file"));
  fs::create_directory(folder / "empty");
  EXPECT_THAT(ErrorOf([&] { CollectFiles({folder / "empty"}); }), HasSubstr("empty: is a folder without files"));
}

TEST(DatasetTest, ADamagedTokenFileIsAnErrorThatNamesIt) {
  const TemporaryFolder folder;
  const auto tokenizer = SmallBpe();
  TokeniseFiles({folder.Write("a.txt", "some words here")}, *tokenizer, {}, folder / "tokens");
  const std::string good = ReadFile(folder / "tokens");
  for (size_t size = 0; size < good.size(); size += 5) {
    const fs::path cut = folder.Write("cut", good.substr(0, size));
    EXPECT_THAT(ErrorOf([&] { TokenFile{cut}; }), HasSubstr("cut")) << size;
  }
  std::string lying = good;
  for (size_t i = lying.size() - 16; i < lying.size() - 8; ++i) lying[i] = '\xFF';  // the length of the description
  EXPECT_THAT(ErrorOf([&] { TokenFile{folder.Write("lie", lying)}; }), HasSubstr("lie"));
}

TEST(DatasetTest, ALargeVocabularyTakesFourBytesAnId) {
  const TemporaryFolder folder;
  std::string text;
  for (char32_t c = 0x10000; c < 0x10000 + 70000; ++c) {  // 70,000 different characters
    text += static_cast<char>(0xF0 | (c >> 18));
    text += static_cast<char>(0x80 | ((c >> 12) & 63));
    text += static_cast<char>(0x80 | ((c >> 6) & 63));
    text += static_cast<char>(0x80 | (c & 63));
  }
  const auto tokenizer = Characters(text);
  const auto tokens = TokeniseFiles({folder.Write("a.txt", text)}, *tokenizer, {}, folder / "tokens");
  ASSERT_EQ(tokens->size(), 70000);
  std::vector<int32_t> last(1);
  tokens->Read(69999, last);
  EXPECT_EQ(last[0], 69999);
}

TEST(DatasetTest, TheLastTenthIsHeldOutAsNanoGptDoes) {
  const TemporaryFolder folder;
  const auto tokenizer = Characters("ab");
  std::string text(1008, 'a');
  text += 'b';
  const auto tokens = TokeniseFiles({folder.Write("a.txt", text)}, *tokenizer, {}, folder / "t");
  const DataSplit split = SplitTokens(tokens, 0.1);
  EXPECT_EQ(split.train.size, 908);  // int(1009 * 0.9)
  EXPECT_EQ(split.validation.size, 101);
  std::vector<int32_t> last(1);
  split.validation.Read(100, last);
  EXPECT_EQ(tokenizer->Decode(last), "b");
  EXPECT_EQ(SplitTokens(tokens, 0).validation.size, 0);
  EXPECT_THAT(ErrorOf([&] { SplitTokens(tokens, 1); }), HasSubstr("val-fraction is 1"));
}

TEST(SampleOffsetTest, DependsOnSeedAndIndexAloneAndReachesEveryPlace) {
  std::set<int64_t> seen;
  for (uint64_t i = 0; i < 400; ++i) {
    const int64_t offset = SampleOffset(7, i, 30, 8);
    ASSERT_GE(offset, 0);
    ASSERT_LT(offset, 22);  // the label of the block's last token is still inside
    ASSERT_EQ(offset, SampleOffset(7, i, 30, 8));
    seen.insert(offset);
  }
  EXPECT_EQ(seen.size(), 22u);
  EXPECT_NE(SampleOffset(7, 0, int64_t{1} << 40, 8), SampleOffset(8, 0, int64_t{1} << 40, 8));
  EXPECT_NE(SampleOffset(7, 0, int64_t{1} << 40, 8), SampleOffset(7, 1, int64_t{1} << 40, 8));
}

}  // namespace
}  // namespace kinetok
