// Demonstrations into a file: what the camera saw, what was asked, and what the expert did or would have done.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sim/episode.h"
#include "sim/expert.h"
#include "sim/layout.h"

namespace kinetok::sim {

// Of demonstrations unless told otherwise: whoever is trained on these scenes has not seen those of seed 0, on which it
// is evaluated unless told otherwise.
inline constexpr uint64_t kRecordSeed = 1000;

struct RecordOptions {
  std::filesystem::path out{};  // HDF5, in LIBERO's layout (kinetok/io/demonstrations.h)
  int64_t episodes = 100;       // attempted: scenes 0 .. episodes-1 of the seed
  uint64_t seed = kRecordSeed;
  LayoutOptions layout{};
  int64_t image_size = kImageSize;
  int64_t max_steps = kMaxSteps;
  // Disturbs what is executed (noise.h), never what is recorded: the label is what the expert wanted. Without any, the
  // demonstrations hold no recoveries.
  double noise = 0.3;
  // Questions about the pictures, one JSON object a line; none when empty.
  std::filesystem::path questions{};
  int64_t questions_per_episode = 2;
  // Pictures described: everything's place, on the table or from the gripper (describe.h), one JSON object a line;
  // none when empty.
  std::filesystem::path descriptions{};
  int64_t descriptions_per_episode = 4;
  int64_t plans_per_episode = 0;  // among the descriptions: where the instruction's things are
  int64_t patch = 0;  // pixels of a patch's side: descriptions also carry a word for each patch; 0: they do not
  // With a policy (DAgger: Ross, Gordon, Bagnell 2011) it drives this share of the time, in stretches of
  // kPolicyStretch steps, while the expert says what should have been done; then every episode is kept.
  Controller policy{};
  double policy_share = 0;
  double push_slide = kPushSlide;  // of the expert (expert.h)

  std::function<bool()> cancelled{};  // asked before each step: true ends the recording with what there is
  // After each episode.
  std::function<void(int64_t episodes, int64_t steps)> on_episode{};

  // Throws Error that starts with the field's name.
  void Check() const;
};

inline constexpr int64_t kPolicyStretch = 8;

struct RecordedTask {
  TaskKind kind{};
  int64_t episodes = 0, kept = 0, successes = 0, steps = 0;  // steps of the kept ones
};

struct RecordSummary {
  int64_t episodes = 0, kept = 0, successes = 0, steps = 0, questions = 0, descriptions = 0;
  int64_t faults = 0;                   // of the physics, among the episodes that failed
  std::vector<RecordedTask> by_task{};  // each kind once, in the order of RecordOptions.layout.tasks
  bool cancelled = false;
};

// Without a policy only episodes that succeed are kept, and none with a fault of the physics. Files appear whole, at
// the end. Throws Error when they cannot be written, before the first episode where that can be known, or when no
// episode was kept though nobody cancelled.
RecordSummary Record(const RecordOptions& options);

}  // namespace kinetok::sim
