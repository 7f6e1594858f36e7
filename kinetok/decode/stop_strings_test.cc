#include "kinetok/decode/stop_strings.h"

#include <gtest/gtest.h>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

// The text before the stop string, however the text is cut into pieces.
std::string Before(const std::vector<std::string>& stop, const std::vector<std::string>& pieces, bool* matched) {
  StopStrings stops(stop);
  std::string out;
  for (const std::string& piece : pieces) out += stops.Push(piece);
  *matched = stops.matched();
  return out + stops.Finish();
}

TEST(StopStrings, WithoutAnyTheTextPassesThrough) {
  bool matched = true;
  EXPECT_EQ(Before({}, {"to be", " or not"}, &matched), "to be or not");
  EXPECT_FALSE(matched);
}

TEST(StopStrings, OneAcrossPiecesEndsTheTextBeforeIt) {
  bool matched = false;
  EXPECT_EQ(Before({"END"}, {"the E", "N", "D of"}, &matched), "the ");
  EXPECT_TRUE(matched);
}

TEST(StopStrings, WhatMayBecomeOneIsHeldBackUntilItCannot) {
  StopStrings stops({"<end>"});
  EXPECT_EQ(stops.Push("a <e"), "a ");
  EXPECT_EQ(stops.Push("n"), "");
  EXPECT_EQ(stops.Push("x"), "<enx");
  EXPECT_EQ(stops.Push("<<e"), "<");
  EXPECT_EQ(stops.Finish(), "<e");
  EXPECT_FALSE(stops.matched());
}

TEST(StopStrings, ARepeatingBeginningIsNotMissed) {
  bool matched = false;
  EXPECT_EQ(Before({"aab"}, {"a", "a", "a", "b"}, &matched), "a");
  EXPECT_TRUE(matched);
}

TEST(StopStrings, TheFirstCompleteOneWinsWhateverThePieces) {
  const std::string text = "xx abcd yy";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    bool matched = false;
    EXPECT_EQ(Before({"abcd", "c", "bc"}, {text.substr(0, cut), text.substr(cut)}, &matched), "xx a") << cut;
    EXPECT_TRUE(matched) << cut;
  }
}

TEST(StopStrings, AfterAMatchNothingComesOut) {
  StopStrings stops({"."});
  EXPECT_EQ(stops.Push("one. two"), "one");
  EXPECT_EQ(stops.Push("three"), "");
  EXPECT_EQ(stops.Finish(), "");
}

TEST(StopStrings, AnEmptyOneIsAnError) {
  EXPECT_THROW(StopStrings({"a", ""}), Error);
}

}  // namespace
}  // namespace kinetok
