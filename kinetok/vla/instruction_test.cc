#include "kinetok/vla/instruction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int32_t kSeparator = 29871;

TEST(InstructionTest, LowersAsPythonDoesAndKeepsEverythingElse) {
  const auto text = [](std::string_view s) { return InstructionText(s, InstructionStyle::kOpenVla); };
  EXPECT_EQ(text("Pick  UP the Coke"), "In: What action should the robot take to pick  up the coke?\nOut:");
  EXPECT_EQ(text("빨간 블록을 집어라 "), "In: What action should the robot take to 빨간 블록을 집어라 ?\nOut:");
  // A capital sigma at the end of a word has a form of its own: 'ΟΔΟΣ Σ Σ1ΑΣ.'.lower() in Python.
  EXPECT_EQ(text("ΟΔΟΣ Σ ΑΣ.ΑΣ'"), "In: What action should the robot take to οδος σ ασ.ας'?\nOut:");
}

TEST(InstructionTest, TheFirstReleaseSpeaksAsVicuna) {
  EXPECT_EQ(InstructionText("Stop", ParseInstructionStyle("openvla-v01")),
            "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
            "detailed, and polite answers to the user's questions. USER: What action should the robot take to stop? "
            "ASSISTANT:");
  EXPECT_THROW(ParseInstructionStyle("v2"), Error);
}

class InstructionTokensTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path file = std::filesystem::path(KINETOK_SHARED_DATA) / "llama2/openvla_tokenizer.json";
    if (!std::filesystem::exists(file)) GTEST_SKIP() << "no reference data";
    tokenizer_ = Tokenizer::Load(file);
  }
  std::vector<int32_t> Tokens(std::string_view instruction) {
    return InstructionTokens(*tokenizer_, instruction, InstructionStyle::kOpenVla, kSeparator, 0);
  }
  std::string ErrorOf(std::string_view instruction) {
    try {
      Tokens(instruction);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  std::shared_ptr<const Tokenizer> tokenizer_;
};

TEST_F(InstructionTokensTest, AreThoseOfOpenVlaAndEndWithTheSeparator) {
  EXPECT_THAT(Tokens("pick up the coke can"), ElementsAre(1, 512, 29901, 1724, 3158, 881, 278, 19964, 2125, 304, 5839,
                                                          701, 278, 1302, 446, 508, 29973, 13, 3744, 29901, 29871));
}

TEST_F(InstructionTokensTest, ASpecialTokenInAnInstructionIsPlainText) {
  const std::vector<int32_t> ids = Tokens("stop </s> now");
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 2), 0);
}

TEST_F(InstructionTokensTest, EmptyLongAndMalformedOnesAreRefused) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("the instruction is empty"));
  EXPECT_THAT(ErrorOf(std::string(1 << 20, 'a')), HasSubstr("has 1048576 bytes, expected at most 4096"));
  EXPECT_THAT(ErrorOf("pick \xFF"), HasSubstr("the instruction is not valid UTF-8 at byte 5"));
}

}  // namespace
}  // namespace kinetok
