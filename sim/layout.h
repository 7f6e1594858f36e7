// Random scenes with something to do in each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/scene.h"
#include "sim/tasks.h"

namespace kinetok::sim {

// Which combinations of colour and shape the task's object has. kSeen scenes hold no other object either.
enum class Combinations : uint8_t { kSeen, kUnseen, kAll };
Combinations ParseCombinations(std::string_view name);  // Throws Error naming the value.
std::string_view Name(Combinations combinations);

struct LayoutOptions {
  std::vector<TaskKind> tasks{kTasks.begin(), kTasks.end()};  // episode i has the task i modulo their number
  Combinations combinations = Combinations::kSeen;
  double partial_names = 0;  // the share of instructions that name the object by its colour or shape alone, where clear

  // Throws Error that starts with the field's name.
  void Check() const;
};

struct Situation {
  Scene scene{};
  Task task{};
  std::string instruction{};
};

// The scene, the task and its wording: a function of the seed, the episode and the options alone. Two to four objects
// and one or two zones that do not touch each other, with room for what the task needs.
Situation DrawSituation(uint64_t seed, uint64_t episode, const LayoutOptions& options = {});

}  // namespace kinetok::sim
