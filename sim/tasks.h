// What the gripper is asked to do, in English, and when it is done: physics alone decides.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/scene.h"
#include "sim/simulator.h"

namespace kinetok::sim {

enum class TaskKind : uint8_t {
  kReach,    // "move to the red cube": the gripper's point within kReachRadius of the middle of the object's top
  kPush,     // "push the blue cylinder to the left": kPushDistance that way, less than kPushSideways across;
             // "push the blue cylinder into the green zone": its middle inside the zone, kZoneMargin from the edge;
             // either way on the table, and not between the fingers
  kPick,     // "pick up the yellow ball": between both fingers, its lowest point kPickHeight above the table
  kPickBar,  // the same of a bar, held across and lying as it lay, both within kBarAlignment: neither by its corners
             // nor turned by the closing fingers, so the gripper has to turn
  kPlace,    // "put the red cube on the blue plate": its middle within kPlaceRadius of the plate's, at rest on it,
             // no finger touching, the gripper open
};

// Metres; kRestSpeed metres a second; kOpenEnough and kGripped are the gripper's opening. What both fingers touch is
// between them when they are kGripped apart; closed ones touch with both what they push before them.
inline constexpr double kReachRadius = 0.03;
inline constexpr double kPushDistance = 0.08, kPushSideways = 0.05, kZoneMargin = 0.01;
inline constexpr double kPickHeight = 0.05;
inline constexpr double kBarAlignment = 0.22;  // radians
inline constexpr double kPlaceRadius = 0.035, kRestHeight = 0.006, kRestSpeed = 0.02, kOpenEnough = 0.06;
inline constexpr double kGripped = 0.02;

inline constexpr std::array kTasks = {TaskKind::kReach, TaskKind::kPush, TaskKind::kPick, TaskKind::kPickBar,
                                      TaskKind::kPlace};

std::string_view Name(TaskKind kind);
// "reach,pick"; "push,push,pick" pushes twice as often as it picks up. Throws Error naming the word that is no task, or
// when there is none.
std::vector<TaskKind> ParseTasks(std::string_view names);
// Each kind once, in the order in which they first come.
std::vector<TaskKind> Distinct(const std::vector<TaskKind>& kinds);
// Of records with a `kind`, the one of that kind; there has to be one.
template <typename Record>
Record& Of(TaskKind kind, std::vector<Record>& records) {
  return *std::find_if(records.begin(), records.end(), [&](const Record& one) { return one.kind == kind; });
}

enum class Side : uint8_t { kLeft, kRight };

// Indices are into the scene's objects and zones.
struct Task {
  TaskKind kind = TaskKind::kReach;
  size_t object = 0;
  std::optional<size_t> zone{};  // where kPlace puts it, and kPush when it has no side
  Side side = Side::kLeft;       // of kPush without a zone

  bool operator==(const Task&) const = default;
};

// What an object may be called: "red cube"; and "cube" or "red object", where no other object is one.
std::vector<std::string> NamesOf(const Scene& scene, size_t object);
// The ways to ask for a task whose object goes by that name, in order; at least five for each.
std::vector<std::string> Phrasings(const Scene& scene, const Task& task, std::string_view name);
// The task that a phrasing, with any of the names, asks for in a scene; nothing when none of any task reads so.
std::optional<Task> FindTask(const Scene& scene, std::string_view instruction);
// The same; throws Error when there is none.
Task ParseInstruction(const Scene& scene, std::string_view instruction);
// Every task that the scene allows.
std::vector<Task> TasksOf(const Scene& scene);

bool Succeeded(const Scene& scene, const Task& task, const WorldState& state);

}  // namespace kinetok::sim
