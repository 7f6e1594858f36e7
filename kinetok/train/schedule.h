// Learning-rate schedules.
#pragma once

#include <cstdint>
#include <string_view>

namespace kinetok {

enum class ScheduleKind : uint8_t { kConstant, kLinear, kCosine, kWsd };

std::string_view ScheduleName(ScheduleKind kind);       // "constant", "linear", "cosine", "wsd"
ScheduleKind ParseScheduleKind(std::string_view name);  // Error listing the names when unknown

struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  double learning_rate = 1e-3;
  double min_learning_rate = 1e-4;  // reached at max_steps; kConstant ignores it
  int64_t warmup_steps = 0;
  int64_t max_steps = 0;
  double decay_fraction = 0.2;  // kWsd: the share of max_steps, at its end, that goes down
};

// The learning rate of optimizer step `step`, counted from 0.
//   step < warmup:  learning_rate * (step + 1) / (warmup + 1), as nanoGPT does
//   linear, cosine: from learning_rate at the end of the warm-up to min_learning_rate at max_steps
//   wsd:            constant, then linear to min_learning_rate over the last decay_fraction (Hu et al. 2024, MiniCPM)
double LearningRate(const Schedule& schedule, int64_t step);

}  // namespace kinetok
