#include "kinetok/train/schedule.h"

#include <algorithm>
#include <array>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"

namespace kinetok {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"constant", "linear", "cosine", "wsd"};

}  // namespace

std::string_view ScheduleName(ScheduleKind kind) {
  return kNames[static_cast<size_t>(kind)];
}

ScheduleKind ParseScheduleKind(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<ScheduleKind>(i);
  }
  Fail("schedule is \"{}\", expected constant, linear, cosine or wsd", name);
}

double LearningRate(const Schedule& s, int64_t step) {
  if (step < s.warmup_steps) {
    return s.learning_rate * static_cast<double>(step + 1) / static_cast<double>(s.warmup_steps + 1);
  }
  if (s.kind == ScheduleKind::kConstant) return s.learning_rate;
  int64_t first = s.warmup_steps;  // of the decay
  if (s.kind == ScheduleKind::kWsd) {
    const auto decay = static_cast<int64_t>(static_cast<double>(s.max_steps) * s.decay_fraction);
    first = std::max(first, s.max_steps - decay);
    if (step < first) return s.learning_rate;
  }
  if (step >= s.max_steps) return s.min_learning_rate;
  const double done = static_cast<double>(step - first) / static_cast<double>(s.max_steps - first);
  constexpr double kPi = 3.14159265358979323846;
  const double left = s.kind == ScheduleKind::kCosine ? 0.5 * (1 + Cos(kPi * done)) : 1 - done;
  return s.min_learning_rate + left * (s.learning_rate - s.min_learning_rate);
}

}  // namespace kinetok
