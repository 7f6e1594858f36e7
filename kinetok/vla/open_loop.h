// A policy beside a demonstration: at every step the image that was seen, and the action that it would have taken.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "kinetok/io/demonstrations.h"
#include "kinetok/vla/policy.h"

namespace kinetok {

struct OpenLoopOptions {
  ActOptions act = {};
  int64_t limit = 0;                                               // only the first so many demonstrations; 0: all
  std::function<void(int64_t done, int64_t total)> progress = {};  // steps
};

struct OpenLoopReport {
  int64_t demonstrations = 0, steps = 0;
  // As training counts them (ActionScore), but with the policy's own tokens before each.
  double action_token_accuracy = 0, action_l1 = 0;
  std::optional<double> varying_token_accuracy;  // without the dimensions that the statistics call constant
  std::vector<double> accuracy_by_dimension;
  std::vector<double> l1_by_dimension;        // in the action's own units
  std::vector<std::vector<int32_t>> actions;  // of each step, the tokens
};

// Throws Error when an action of the file has another number of dimensions than the policy's.
OpenLoopReport ScoreOpenLoop(Policy& policy, const DemonstrationFile& file, const OpenLoopOptions& options = {});

}  // namespace kinetok
