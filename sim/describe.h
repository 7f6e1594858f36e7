// Pictures in words, for a model that learns to look: what is where, what each patch shows, and what a task is about.
// Lengths are in units of kPlaceUnit, two digits each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/draws.h"
#include "sim/renderer.h"
#include "sim/simulator.h"
#include "sim/tasks.h"

namespace kinetok::sim {

inline constexpr double kPlaceUnit = 0.005;  // metres
inline constexpr double kTurnStep = 0.05;    // radians

// Where places are counted from.
enum class Origin : uint8_t {
  kTable,    // "gripper:353520, red cube:1740, blue plate:5012": x and y (and the gripper's z), from the left and the
             // near edge of the gripper's reach
  kGripper,  // "red cube:-18+05, yellow bar:+02-11+07, gripper:20": from the gripper's point, the gripper's z; and how
             // far the fingers are from being across a bar, in units of kTurnStep
};
std::string_view DescribePrompt(Origin origin);  // asks for it: "what is where?", "what is where from the gripper?"

// Everything and where it is, in an order that is drawn (pointing, as in PaliGemma, Beyer et al. 2024). What cannot be
// seen is left out.
std::string Describe(const Simulator& simulator, Origin origin, Draws& draws);

// The things that a task is about, from the gripper, and where a push begins: "red cube:-18+05, blue zone:+10+12,
// start:-25+01" (a thought before the act, as in ECoT, Zawalski et al. 2024). Nothing when the object is out of sight.
std::optional<std::string> DescribePlan(const Simulator& simulator, const Task& task);
std::string PlanPrompt(std::string_view instruction);  // "where must the robot go to {instruction}?"

// A word for each patch of the picture, row by row: the colour or the kind of what takes most of it besides the table,
// "table" where that is less than kPatchShare of its pixels, "hand" for the gripper, "spot" for the spot below it.
std::vector<std::string> PatchWords(const Simulator& simulator, Renderer& renderer, int64_t patch, Draws& draws);
inline constexpr double kPatchShare = 0.15;

}  // namespace kinetok::sim
