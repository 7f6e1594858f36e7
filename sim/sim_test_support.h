// Scenes that tests build by hand.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "kinetok/base/error.h"
#include "sim/episode.h"
#include "sim/layout.h"

namespace kinetok::sim {

// Three objects far from each other, a zone and a plate; the gripper hovers, open, right of the middle.
inline Scene HandMadeScene() {
  return {.objects = {{Shape::kCube, Color::kRed, -0.10, -0.05},
                      {Shape::kBall, Color::kPurple, 0.00, -0.10},
                      {Shape::kBar, Color::kYellow, 0.11, -0.06, 0.5}},
          .zones = {{ZoneShape::kZone, Color::kGreen, -0.08, 0.08}, {ZoneShape::kPlate, Color::kBlue, 0.08, 0.06}},
          .gripper = {.x = 0.02, .y = 0.02, .z = 0.12}};
}

inline constexpr size_t kRedCube = 0, kPurpleBall = 1, kYellowBar = 2, kGreenZone = 0, kBluePlate = 1;

// Runs the expert until it succeeds or the steps are used up.
inline EpisodeResult RunExpert(Simulator& simulator, const Task& task, int64_t max_steps = kMaxSteps) {
  return RunEpisode(simulator, task, "", ExpertController(simulator.scene(), task), {.max_steps = max_steps});
}

inline std::string ErrorOf(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace kinetok::sim
