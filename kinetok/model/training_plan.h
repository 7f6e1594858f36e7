// When each buffer of a training pass is alive, and where it lives: what TrainingPass executes. Internal to model/.
#pragma once

#include <cstdint>
#include <vector>

#include "kinetok/model/arena_plan.h"
#include "kinetok/model/program.h"
#include "kinetok/model/training_pass.h"

namespace kinetok {

// One entry of the schedule, executed in order.
struct PassEvent {
  enum class Kind : uint8_t { kForward, kLoss, kRecompute, kBackward };
  Kind kind;
  int step = -1;  // of Program::steps; -1 for kLoss
};

struct TrainingPlan {
  TrainingPlan(const ModelConfig& config, const Program& program, const TrainingPassOptions& options);

  std::vector<PassEvent> events;
  std::vector<int> values;     // by Program::buffers index: the arena's buffer
  std::vector<int> gradients;  // the same of its gradient; -1: none
  std::vector<int> shared;     // by buffer: the representative of those that share one gradient (joined by kAdd)
  std::vector<int> kv;         // by layer: the pages
  int logits = -1;
  int64_t chunk_rows = 0;  // of the head
  ArenaPlan arena;
};

}  // namespace kinetok
