#include "kinetok/text/gpt2_split.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace kinetok {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = Gpt2WordEnd(text, begin);
    words.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

TEST(Gpt2SplitTest, ASpaceBelongsToTheWordAfterIt) {
  EXPECT_THAT(Words("Hello world, 42 apples!"), ElementsAre("Hello", " world", ",", " 42", " apples", "!"));
  EXPECT_THAT(Words("abc123def"), ElementsAre("abc", "123", "def"));
  EXPECT_THAT(Words(""), IsEmpty());
}

TEST(Gpt2SplitTest, ContractionsAreCutOffAndOnlyInLowerCase) {
  EXPECT_THAT(
      Words("I'm we'll don't you'd it's they've you're"),
      ElementsAre("I", "'m", " we", "'ll", " don", "'t", " you", "'d", " it", "'s", " they", "'ve", " you", "'re"));
  EXPECT_THAT(Words("IT'S 's"), ElementsAre("IT", "'", "S", " '", "s"));
  EXPECT_THAT(Words("''s 'z"), ElementsAre("''", "s", " '", "z"));
}

TEST(Gpt2SplitTest, WhiteSpaceLeavesItsLastCharacterToTheNextWord) {
  EXPECT_THAT(Words("a   b"), ElementsAre("a", "  ", " b"));
  EXPECT_THAT(Words("a\n\nb"), ElementsAre("a", "\n", "\n", "b"));
  EXPECT_THAT(Words("a \n"), ElementsAre("a", " \n"));
  EXPECT_THAT(Words("a\tb"), ElementsAre("a", "\t", "b"));
  EXPECT_THAT(Words("   "), ElementsAre("   "));
}

TEST(Gpt2SplitTest, ClassesCoverAllOfUnicode) {
  EXPECT_THAT(Words("오늘 날씨가 12월"), ElementsAre("오늘", " 날씨가", " 12", "월"));
  EXPECT_THAT(Words("½Ⅷ٣x"), ElementsAre("½Ⅷ٣", "x"));  // No, Nl, Nd
  EXPECT_THAT(Words("a\u3000b\u00A0\u2003c"), ElementsAre("a", "\u3000", "b", "\u00A0", "\u2003", "c"));
  EXPECT_THAT(Words("😀👍 🚀"), ElementsAre("😀👍", " 🚀"));
  EXPECT_THAT(Words("e\u0301"), ElementsAre("e", "\u0301"));  // a combining mark is no letter
  EXPECT_THAT(Words("𝔸𠀀"), ElementsAre("𝔸𠀀"));              // letters above U+FFFF
  EXPECT_THAT(Words("\u200Ba\u180E"), ElementsAre("\u200B", "a", "\u180E"));
}

TEST(Gpt2SplitTest, TablesAreSortedAndAgreeWithTheLookup) {
  size_t letters = 0, numbers = 0, spaces = 0;
  char32_t next = 0;
  for (const CharRange& r : CharRanges()) {
    ASSERT_GE(r.first, next);
    ASSERT_LE(r.first, r.last);
    next = r.last + 1;
    const size_t size = r.last - r.first + 1;
    (r.char_class == CharClass::kLetter ? letters : r.char_class == CharClass::kNumber ? numbers : spaces) += size;
    EXPECT_EQ(ClassOf(r.first), r.char_class);
    EXPECT_EQ(ClassOf(r.last), r.char_class);
  }
  size_t found_letters = 0, found_numbers = 0, found_spaces = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    found_letters += ClassOf(c) == CharClass::kLetter;
    found_numbers += ClassOf(c) == CharClass::kNumber;
    found_spaces += ClassOf(c) == CharClass::kSpace;
  }
  EXPECT_EQ(found_letters, letters);
  EXPECT_EQ(found_numbers, numbers);
  EXPECT_EQ(found_spaces, spaces);
  EXPECT_EQ(spaces, 25u);  // White_Space of the Unicode standard
  EXPECT_GT(letters, 130000u);
  EXPECT_GT(numbers, 1800u);
}

}  // namespace
}  // namespace kinetok
