// From an instruction to the tokens in front of an action.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/text/tokenizer.h"

namespace kinetok {

enum class InstructionStyle : uint8_t {
  kOpenVla,  // "In: What action should the robot take to {instruction}?\nOut:"
  kVicuna,   // OpenVLA v0.1's, with Vicuna's system prompt
};
InstructionStyle ParseInstructionStyle(std::string_view name);  // "openvla", "openvla-v01"; Error otherwise
std::string_view InstructionStyleName(InstructionStyle style);

// The text that the model reads: the instruction in lower case, as Python's str.lower() gives it, in the style's words.
std::string InstructionText(std::string_view instruction, InstructionStyle style);

// Throws Error when the instruction is empty, longer than kMaxInstructionBytes, or not UTF-8 (naming the byte).
inline constexpr int64_t kMaxInstructionBytes = 4096;
void CheckInstruction(std::string_view instruction);

// What an action follows: BOS, the places of an image's `patches`, the ids of that text, and `separator`. A special
// token typed in an instruction is plain text. Throws Error as CheckInstruction does.
std::vector<int32_t> InstructionTokens(const Tokenizer& tokenizer, std::string_view instruction, InstructionStyle style,
                                       int32_t separator, int64_t patches);

}  // namespace kinetok
