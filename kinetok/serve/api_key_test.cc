#include "kinetok/serve/api_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinetok/io/io_test_files.h"

namespace kinetok {
namespace {

using ::testing::HasSubstr;

using ApiKeyTest = TemporaryFolder;

TEST_F(ApiKeyTest, OpensToItsBearerAlone) {
  const ApiKey key("correct-horse");
  for (const char* right : {"Bearer correct-horse", "bearer correct-horse", "BEARER correct-horse"}) {
    EXPECT_TRUE(key.Opens(right)) << right;
  }
  for (const char* wrong :
       {"", "Bearer", "Bearer ", "Bearer correct-hors", "Bearer correct-horse ", "correct-horse",
        "Bearer correct-horsf", "Bearer Correct-Horse", "Basic correct-horse", "bearer", "bearercorrect-horse"}) {
    EXPECT_FALSE(key.Opens(wrong)) << wrong;
  }
}

TEST_F(ApiKeyTest, IsReadWithoutTheWhiteSpaceAroundIt) {
  WriteFileAtomically(folder() / "key", "\n  correct-horse\r\n");
  EXPECT_TRUE(ReadApiKey(folder() / "key").Opens("Bearer correct-horse"));
}

TEST_F(ApiKeyTest, WhatIsNoKeyIsAnErrorThatNamesTheFileAndNotTheKey) {
  for (const std::string text : {"", " \n", "short", "two words", "오늘 날씨가", "new\nline-key"}) {
    WriteFileAtomically(folder() / "key", text);
    const std::string error = ErrorOf([&] { ReadApiKey(folder() / "key"); });
    EXPECT_THAT(error, HasSubstr("/key: the key has ")) << text;
    EXPECT_THAT(error, HasSubstr("expected 8 to 1024 visible ASCII characters")) << text;
    EXPECT_TRUE(text.size() < 3 || error.find(text) == std::string::npos) << error;
  }
  EXPECT_THAT(ErrorOf([&] { ReadApiKey(folder() / "none"); }), HasSubstr("none"));
}

}  // namespace
}  // namespace kinetok
