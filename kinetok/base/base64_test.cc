#include "kinetok/base/base64.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

std::string Encode(std::string_view text) {
  return EncodeBase64(std::as_bytes(std::span(text)));
}

std::string FaultOf(std::string_view text) {
  try {
    DecodeBase64(text, "pixels");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Base64Test, HasTheValuesOfItsStandard) {
  const std::pair<std::string_view, std::string_view> cases[] = {{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"},
                                                                 {"\xfb\xff\xbe", "+/++"}};
  for (const auto& [bytes, text] : cases) {
    EXPECT_EQ(Encode(bytes), text);
    EXPECT_EQ(DecodeBase64(text, "text"), bytes);
  }
}

TEST(Base64Test, EveryByteAtEveryPlaceComesBack) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    bytes += static_cast<char>(i);
    EXPECT_EQ(DecodeBase64(Encode(bytes), "text"), bytes);
  }
}

TEST(Base64Test, WhatIsNotWrittenSoIsAnErrorThatNamesThePlace) {
  EXPECT_THAT(FaultOf("Zm9"), HasSubstr("pixels has 3 characters, expected a multiple of 4"));
  EXPECT_THAT(FaultOf("Zm9v\nZm8="), HasSubstr("9 characters"));
  EXPECT_THAT(FaultOf("Zm9vZm-v"), HasSubstr("0x2d at character 6"));
  EXPECT_THAT(FaultOf("Zm =Zm9v"), HasSubstr("0x20 at character 2"));
  EXPECT_THAT(FaultOf("Zg==Zm9v"), HasSubstr("0x3d at character 2"));
  EXPECT_THAT(FaultOf("Z==="), HasSubstr("0x3d at character 1"));
  EXPECT_THAT(FaultOf("===="), HasSubstr("0x3d at character 0"));
  EXPECT_THAT(FaultOf("Zm9\xff"), HasSubstr("0xff at character 3"));
  EXPECT_THAT(FaultOf("Zh=="), HasSubstr("bits behind its last byte"));
  EXPECT_THAT(FaultOf("Zm9="), HasSubstr("bits behind its last byte"));
}

}  // namespace
}  // namespace kinetok
