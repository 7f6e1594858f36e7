// What somebody who sees everything does next. A pure function of the present state and the task: it has no memory, so
// it also says what should have been done in a state that another policy led to, and a learner that sees one picture
// has all it needs to do the same.
#pragma once

#include <array>

#include "sim/scene.h"
#include "sim/simulator.h"
#include "sim/tasks.h"

namespace kinetok::sim {

// Fast when far and slow when near: most of the distance, at most kMaxMove and kMaxTurn. It lowers the gripper only as
// far as it is aligned, so that whatever was knocked, dropped or missed is approached from above again.
//
// Within `push_slide` metres of where a push begins, and clear of the object, it is down already and slides there. With
// 0 it comes down right there and rises whenever it is off, which who sees less than it does cannot tell in time.
inline constexpr double kPushSlide = 0.03;
ActionVector ExpertAction(const Scene& scene, const Task& task, const WorldState& state,
                          double push_slide = kPushSlide);

// Where the gripper's point goes, x and y, before it pushes: behind the object, seen from where it is to go.
std::array<double, 2> PushStart(const Scene& scene, const Task& task, const ObjectState& object);

}  // namespace kinetok::sim
