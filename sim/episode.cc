#include "sim/episode.h"

#include <chrono>

#include "kinetok/base/error.h"
#include "sim/expert.h"

namespace kinetok::sim {

void CheckMaxSteps(int64_t max_steps) {
  if (max_steps < 1 || max_steps > kMaxSteps) Fail("max_steps is {}; expected 1 to {}", max_steps, kMaxSteps);
}

EpisodeResult RunEpisode(Simulator& simulator, const Task& task, std::string_view instruction,
                         const Controller& controller, const EpisodeOptions& options) {
  EpisodeResult result;
  for (int64_t step = 0; step < options.max_steps; ++step) {
    if (options.cancelled && options.cancelled()) {
      result.cancelled = true;
      break;
    }
    const Image image = options.renderer != nullptr ? options.renderer->Render(simulator) : Image();
    const auto start = std::chrono::steady_clock::now();
    const ActionVector action = controller(image, instruction, simulator.state());
    result.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    result.actions.push_back(action);
    if (options.on_step) options.on_step({image, simulator, action, step});
    const ActionVector executed = options.disturb ? options.disturb(action, step) : action;
    ++result.steps;
    try {
      simulator.Step(executed);
    } catch (const PhysicsError& error) {
      result.fault = error.what();
      break;
    }
    result.success = Succeeded(simulator.scene(), task, simulator.state());
    if (result.success) break;
  }
  return result;
}

Controller ExpertController(const Scene& scene, const Task& task) {
  return [scene, task](const Image&, std::string_view, const WorldState& state) {
    return ExpertAction(scene, task, state);
  };
}

}  // namespace kinetok::sim
