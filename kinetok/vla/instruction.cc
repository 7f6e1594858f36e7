#include "kinetok/vla/instruction.h"

#include <cstddef>

#include "kinetok/base/error.h"
#include "kinetok/text/unicode.h"
#include "kinetok/text/utf8.h"
#include "kinetok/vla/image_prompt.h"

namespace kinetok {
namespace {

constexpr std::string_view kVicunaSystem =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions.";

// Case-ignorable characters besides marks: Word_Break's MidLetter, MidNumLet and Single_Quote.
bool IsIgnorable(char32_t c) {
  return HasTrait(c, kNonspacingMark) || HasTrait(c, kCombiningMark) ||
         std::u32string_view(U"'.:\u00b7\u0387\u2018\u2019\u2024\u2027").find(c) != std::u32string_view::npos;
}

bool IsLetter(char32_t c) {
  return HasTrait(c, kWordCharacter) && !HasTrait(c, kNumeric) && !HasTrait(c, kPunctuation);
}

// Python's rule for a capital sigma: final after a letter and before none, ignorable characters aside.
std::string LowerAsPython(std::string_view utf8) {
  constexpr char32_t kSigma = U'\u03a3', kFinalSigma = U'\u03c2';
  std::u32string text;
  for (size_t at = 0; at < utf8.size();) text.push_back(NextCodePoint(utf8, at));
  const auto letter_from = [&](size_t at, ptrdiff_t step) {
    auto i = static_cast<ptrdiff_t>(at) + step;
    const auto inside = [&] { return i >= 0 && i < static_cast<ptrdiff_t>(text.size()); };
    while (inside() && IsIgnorable(text[static_cast<size_t>(i)])) i += step;
    return inside() && IsLetter(text[static_cast<size_t>(i)]);
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool final_sigma = text[i] == kSigma && letter_from(i, -1) && !letter_from(i, 1);
    std::string one;
    AppendUtf8(final_sigma ? kFinalSigma : text[i], one);
    out += final_sigma ? one : Lowercase(one);
  }
  return out;
}

}  // namespace

InstructionStyle ParseInstructionStyle(std::string_view name) {
  if (name == "openvla") return InstructionStyle::kOpenVla;
  if (name == "openvla-v01") return InstructionStyle::kVicuna;
  Fail("instruction style is \"{}\", expected openvla or openvla-v01", name);
}

std::string_view InstructionStyleName(InstructionStyle style) {
  return style == InstructionStyle::kOpenVla ? "openvla" : "openvla-v01";
}

std::string InstructionText(std::string_view instruction, InstructionStyle style) {
  const std::string lower = LowerAsPython(instruction);
  if (style == InstructionStyle::kOpenVla) {
    return fmt::format("In: What action should the robot take to {}?\nOut:", lower);
  }
  return fmt::format("{} USER: What action should the robot take to {}? ASSISTANT:", kVicunaSystem, lower);
}

void CheckInstruction(std::string_view instruction) {
  if (instruction.empty()) Fail("the instruction is empty, expected a text such as \"pick up the red block\"");
  if (static_cast<int64_t>(instruction.size()) > kMaxInstructionBytes) {
    Fail("the instruction has {} bytes, expected at most {}", instruction.size(), kMaxInstructionBytes);
  }
  RequireUtf8(instruction, "the instruction");
}

std::vector<int32_t> InstructionTokens(const Tokenizer& tokenizer, std::string_view instruction, InstructionStyle style,
                                       int32_t separator, int64_t patches) {
  CheckInstruction(instruction);
  std::vector<int32_t> ids = PromptTokens(tokenizer, InstructionText(instruction, style), patches);
  if (ids.back() != separator) ids.push_back(separator);
  return ids;
}

}  // namespace kinetok
