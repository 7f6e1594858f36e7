#include "kinetok/text/utf8.h"

#include <gmock/gmock.h>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

const std::string kReplacement = "\xEF\xBF\xBD";

TEST(Utf8Test, EveryCodePointSurvivesEncodingAndDecoding) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    AppendUtf8(c, text);
    ASSERT_EQ(FindInvalidUtf8(text), std::string::npos) << static_cast<uint32_t>(c);
    size_t offset = 0;
    ASSERT_EQ(NextCodePoint(text, offset), c);
    ASSERT_EQ(offset, text.size());
    for (size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(CompleteUtf8(std::string("x").append(text, 0, cut)), 1u) << static_cast<uint32_t>(c);
    }
    ASSERT_EQ(CompleteUtf8(text), text.size());
  }
}

struct Malformed {
  std::string text;
  size_t first_bad;
  std::string replaced;  // as Python's bytes.decode(errors="replace")
};

TEST(Utf8Test, FindsTheFirstBadByteAndReplacesMaximalParts) {
  const Malformed cases[] = {
      {"abc\xFF", 3, "abc" + kReplacement},
      {"\x80", 0, kReplacement},
      {"\xC0\x80", 0, kReplacement + kReplacement},                                        // overlong
      {"\xE0\x80\x80", 0, kReplacement + kReplacement + kReplacement},                     // overlong
      {"\xED\xA0\x80", 0, kReplacement + kReplacement + kReplacement},                     // surrogate
      {"\xF4\x90\x80\x80", 0, kReplacement + kReplacement + kReplacement + kReplacement},  // above U+10FFFF
      {"12345678\xEC\x98", 8, "12345678" + kReplacement},  // the first two bytes of U+C624
      {"\xEC\x98x", 0, kReplacement + "x"},
      {"\xF0\x9F\x98 \xF0\x9F", 0, kReplacement + " " + kReplacement},
  };
  for (const Malformed& c : cases) {
    EXPECT_EQ(FindInvalidUtf8(c.text), c.first_bad) << testing::PrintToString(c.text);
    EXPECT_EQ(ReplaceInvalidUtf8(c.text), c.replaced) << testing::PrintToString(c.text);
  }
}

TEST(Utf8Test, BytesThatCannotBeginACharacterAreNotHeldBack) {
  EXPECT_EQ(CompleteUtf8("a\x80"), 2u);
  EXPECT_EQ(CompleteUtf8("a\xFF"), 2u);
  EXPECT_EQ(CompleteUtf8("a\xC0"), 2u);
  EXPECT_EQ(CompleteUtf8("a\xED\xA0"), 3u);
  EXPECT_EQ(CompleteUtf8("\x80\x80\x80\x80"), 4u);
  EXPECT_EQ(CompleteUtf8(""), 0u);
}

TEST(Utf8Test, AnErrorNamesTheOffsetAndTheByte) {
  try {
    RequireUtf8("\uC624\uB298\xFE", "the prompt");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "the prompt is not valid UTF-8 at byte 6 (0xFE)");
  }
}

}  // namespace
}  // namespace kinetok
