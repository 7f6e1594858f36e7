#include "cli/table.h"

#include <gtest/gtest.h>

namespace kinetok::cli {
namespace {

TEST(Table, WidthIsThatOfATerminal) {
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("고양이"), 6u);
  EXPECT_EQ(DisplayWidth("漢字かな"), 8u);
  EXPECT_EQ(DisplayWidth("한"), 2u);         // conjoining jamo: initial, medial, final
  EXPECT_EQ(DisplayWidth("e\xCC\x81"), 1u);  // with a combining accent
  EXPECT_EQ(DisplayWidth("😀"), 2u);
  EXPECT_EQ(DisplayWidth("é–…"), 3u);
  EXPECT_EQ(DisplayWidth("\xEA\xB3"), 1u);  // shown as U+FFFD
}

TEST(Table, PaddingFillsColumns) {
  EXPECT_EQ(PadRight("새", 4), "새  ");
  EXPECT_EQ(PadLeft("새", 4), "  새");
  EXPECT_EQ(PadRight("고양이", 4), "고양이");
}

TEST(Table, BytesBecomeOneReadableLine) {
  EXPECT_EQ(Printable("a\nb\tc"), "a\\nb\\x09c");
  EXPECT_EQ(Printable("새\xEA\xB3"), "새\\xEA\\xB3");
  EXPECT_EQ(Printable("\x7F"), "\\x7F");
  EXPECT_EQ(Printable("\xFFz"), "\\xFFz");
  EXPECT_EQ(TokenText(nullptr, 42), "42");
}

TEST(Table, ColumnsLineUp) {
  Table table({"token", "p"});
  table.Add({"고양이", "0.4"});
  table.Add({"bird", "0.15"});
  table.Add({"short"});
  EXPECT_EQ(table.Text(),
            "token      p\n"
            "고양이   0.4\n"
            "bird    0.15\n"
            "short\n");
}

TEST(Table, BlocksStandSideBySideWhileTheyFit) {
  EXPECT_EQ(SideBySide({"새 1\nb", "x\ny\nz\n"}, 20), "새 1   x\nb      y\n       z\n");
  EXPECT_EQ(SideBySide({"aaaa\n", "bbbb\n"}, 10), "aaaa\n\nbbbb\n");
  EXPECT_EQ(SideBySide({"aaaa\n", "bbbb\n"}, 11), "aaaa   bbbb\n");
}

}  // namespace
}  // namespace kinetok::cli
