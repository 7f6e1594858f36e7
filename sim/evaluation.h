// Many episodes, or many questions, and what came of them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/episode.h"
#include "sim/layout.h"
#include "sim/questions.h"

namespace kinetok::sim {

// A controller for one episode, which may know the scene (the expert does) or its number (to draw random numbers).
using ControllerFactory = std::function<Controller(const Situation& situation, int64_t episode)>;

struct EvaluationOptions;

struct EvaluatedEpisode {
  int64_t index = 0;
  Situation situation{};
  std::string instruction{};  // what the controller was told
  EpisodeResult result{};
  // For people, before each action and after the last, unless that ended in a fault; empty unless asked for.
  std::vector<Image> frames{};
};

// The pictures of an evaluation, as its options ask for them.
struct Renderers {
  explicit Renderers(const EvaluationOptions& options);
  std::optional<Renderer> images, frames;
};

struct EvaluationOptions {
  int64_t episodes = 100;  // scenes 0 .. episodes-1 of the seed
  uint64_t seed = 0;
  LayoutOptions layout{};
  int64_t max_steps = kMaxSteps;
  int64_t image_size = kImageSize;
  bool images = true;                 // rendered for the controller; an expert needs none
  bool frames = false;                // drawn at kFrameSize and kept for on_episode
  bool blank_image = false;           // the controller sees grey: what does the instruction alone give?
  bool shuffle_instructions = false;  // the controller is told to do what another episode is about, never the same
  std::function<bool()> cancelled{};
  std::function<void(const EvaluatedEpisode&)> on_episode{};
  // At the end of each that was not cancelled and has no fault, before on_episode: the state that it ends in, and the
  // picture of it (empty without images).
  std::function<void(const EvaluatedEpisode&, const Simulator&, const Image&)> on_end{};

  // Throws Error that starts with the field's name.
  void Check() const;
};

struct TaskScore {
  TaskKind kind{};
  int64_t episodes = 0, successes = 0, steps = 0;
};

struct Evaluation {
  int64_t episodes = 0, successes = 0, steps = 0;
  int64_t faults = 0;                // of the physics, among the episodes that failed
  std::vector<TaskScore> by_task{};  // each kind once, in the order of the options
  std::vector<double> seconds{};     // that each action took
  // Root mean square over all steps with one before and one after, of the third derivative of the commanded motion of
  // the gripper's point, m/s^3: how much it jerks.
  double jerk = 0;
  std::string actions_fingerprint{};  // SHA-256 over all actions as they were given, seven float64 each
  bool cancelled = false;
};

// One episode of an evaluation, as Evaluate runs it.
EvaluatedEpisode EvaluateEpisode(int64_t index, const ControllerFactory& controllers, const EvaluationOptions& options,
                                 Renderers& renderers);
Evaluation Evaluate(const ControllerFactory& controllers, const EvaluationOptions& options);

struct AskOptions {
  int64_t episodes = 100;  // scenes; the expert moves in each for a while first
  uint64_t seed = 0;
  LayoutOptions layout{};
  int64_t questions_per_episode = 4;  // at most, for there may be less to ask without doubt
  int64_t image_size = kImageSize;
  bool blank_image = false;
  std::function<bool()> cancelled{};
  std::function<void(int64_t episodes)> on_episode{};

  void Check() const;  // throws Error that starts with the field's name
};

struct KindScore {
  QuestionKind kind{};
  int64_t questions = 0, right = 0;
  double chance = 0;  // what the best constant answer scores
};

struct AskReport {
  int64_t questions = 0, right = 0;
  int64_t faults = 0;  // scenes whose physics failed before there was something to ask
  double chance = 0;
  std::vector<KindScore> by_kind{};  // those that were asked
  bool cancelled = false;
};

// The text that follows QuestionPrompt.
using Answerer = std::function<std::string(const Image& image, const Question& question)>;
AskReport Ask(const Answerer& answer, const AskOptions& options);

}  // namespace kinetok::sim
