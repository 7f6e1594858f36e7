#include "kinetok/vla/action_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

TEST(ActionTokenizerTest, BinsLieAtTheEndOfTheVocabulary) {
  const ActionTokenizer t(32000);
  EXPECT_EQ(t.first_id(), 31744);
  EXPECT_EQ(t.ids().front(), 31744);
  EXPECT_EQ(t.ids().back(), 31999);
  EXPECT_TRUE(t.IsAction(31744) && t.IsAction(31999));
  EXPECT_FALSE(t.IsAction(31743) || t.IsAction(32000));
}

// numpy.digitize(x, numpy.linspace(-1, 1, 256)), by hand: edges lie 2 / 255 apart.
TEST(ActionTokenizerTest, EncodesByTheEdgeBelow) {
  const ActionTokenizer t(32000);
  EXPECT_EQ(t.Encode(-1), 31999);
  EXPECT_EQ(t.Encode(-1 + 1.9 / 255), 31999);
  EXPECT_EQ(t.Encode(-1 + 2.1 / 255), 31998);
  EXPECT_EQ(t.Encode(0), 31872);
  EXPECT_EQ(t.Encode(0.99), 31746);  // 253.7 edges above the first
  EXPECT_EQ(t.Encode(1), 31744);
  EXPECT_EQ(t.Encode(17), 31744);
  EXPECT_EQ(t.Encode(-std::numeric_limits<double>::infinity()), 31999);
  EXPECT_THROW(t.Encode(NAN), Error);
}

TEST(ActionTokenizerTest, DecodesToCentresOfWhichTheTwoLowestIdsShareOne) {
  const ActionTokenizer t(32000);
  EXPECT_DOUBLE_EQ(t.Decode(31999), -1 + 1.0 / 255);
  EXPECT_EQ(t.Decode(31872), 0.0);
  EXPECT_NEAR(t.Decode(31744), 0.99608, 5e-6);
  EXPECT_EQ(t.Decode(31744), t.Decode(31745));
  EXPECT_EQ(t.Bin(31999), 0);
  EXPECT_EQ(t.Bin(31745), 254);
}

TEST(ActionTokenizerTest, IdsThatAreNoActionsGiveTheNearestBin) {
  const ActionTokenizer t(32000);
  EXPECT_EQ(t.Bin(2), 254);
  EXPECT_EQ(t.Bin(32063), 0);
}

TEST(ActionTokenizerTest, DecodingWhatWasEncodedIsWithinHalfABin) {
  const ActionTokenizer t(1000);
  for (int i = 0; i <= 1000; ++i) {
    const double x = -1 + i / 500.0;
    EXPECT_LE(std::abs(t.Decode(t.Encode(x)) - x), 1.0 / 255 + 1e-12) << x;
  }
}

TEST(ActionTokenizerTest, AVocabularyWithoutRoomIsRefused) {
  EXPECT_THROW(ActionTokenizer(255), Error);
  EXPECT_THROW(ActionTokenizer(1000, 1), Error);
}

}  // namespace
}  // namespace kinetok
