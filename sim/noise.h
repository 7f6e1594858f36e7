// Disturbances: what is executed instead of an action, so that demonstrations hold recoveries.
#pragma once

#include <cstdint>

#include "sim/simulator.h"

namespace kinetok::sim {

// `level` 0 to 1: the share of steps with a random shift of the action, and a tenth of it the chance that a burst
// begins in a step: a steady pull to one side for three to six steps, in a third of them with the gripper's command
// turned round. A function of its arguments alone; level 0 changes nothing. Throws Error when the level is not 0 to 1.
ActionVector Disturb(const ActionVector& action, double level, uint64_t seed, uint64_t episode, int64_t step);

}  // namespace kinetok::sim
