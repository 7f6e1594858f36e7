// A policy in the loop: what it sees, what it does, and whether that was what it was asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/io/image.h"
#include "sim/layout.h"
#include "sim/renderer.h"

namespace kinetok::sim {

inline constexpr int64_t kMaxSteps = 80;  // of an episode: 16 seconds; options ask for as many or fewer
// Throws Error that starts with "max_steps" unless it is 1 to kMaxSteps.
void CheckMaxSteps(int64_t max_steps);

// The image is empty when there is no renderer.
using Controller = std::function<ActionVector(const Image& image, std::string_view instruction, const WorldState&)>;

struct EpisodeStep {
  const Image& image;  // before the action
  const Simulator& simulator;
  const ActionVector& action;
  int64_t step;
};

struct EpisodeOptions {
  int64_t max_steps = kMaxSteps;
  Renderer* renderer = nullptr;                                              // pictures for the controller
  std::function<ActionVector(const ActionVector&, int64_t step)> disturb{};  // what is executed instead
  std::function<void(const EpisodeStep&)> on_step{};                         // before the action is executed
  std::function<bool()> cancelled{};  // asked before each step: true ends the episode
};

struct EpisodeResult {
  bool success = false, cancelled = false;
  std::string fault{};  // of the physics, in words: it ended the episode, which has failed
  int64_t steps = 0;
  std::vector<ActionVector> actions{};  // the controller's
  std::vector<double> seconds{};        // that each took
};

// Ends with success, after max_steps, or with a PhysicsError, which the result tells. `instruction` replaces the
// scene's own.
EpisodeResult RunEpisode(Simulator& simulator, const Task& task, std::string_view instruction,
                         const Controller& controller, const EpisodeOptions& options = {});

// The expert as a controller of this scene.
Controller ExpertController(const Scene& scene, const Task& task);

}  // namespace kinetok::sim
