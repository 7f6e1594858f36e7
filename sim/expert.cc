#include "sim/expert.h"

#include <algorithm>
#include <cmath>

namespace kinetok::sim {
namespace {

constexpr double kGain = 0.85;                          // of the distance that is left, covered by one action
constexpr double kMoveUnit = 0.0025, kTurnUnit = 0.05;  // metres and radians: its moves are multiples of these
constexpr double kLevel = 0.10;                         // radians of roll or pitch that it lets be
constexpr double kTravel = 0.085;                       // the gripper's point is this high when it passes over things
constexpr double kHoverAbove = 0.012;                   // above an object's top, for kReach
constexpr double kSlope = 2.5;      // metres of height for each metre of misalignment: a steep funnel
constexpr double kAligned = 0.007;  // misalignment that counts as none
constexpr double kGraspAcross = 0.013, kGraspAlong = 0.011, kGraspHeight = 0.010, kGraspYaw = 0.20;
constexpr double kCarryBottom = 0.065, kDropBottom = 0.007, kDropRadius = 0.020, kPlacedRadius = 0.030;
constexpr double kLiftBottom = 0.090;
constexpr double kPushStandoff = 0.050;  // between the middles of object and gripper before the push
constexpr double kPushHeight = 0.022, kPushSpeed = 0.022, kPushNear = 0.018, kPushFar = 0.075, kPushLateral = 0.017;
constexpr double kPushClear = 0.038;  // between the middles, that closed fingers do not touch it

struct Goal {
  double x, y;        // where the gripper's point goes
  double z;           // its height there
  double yaw;         // radians
  bool open;          // the fingers, on the way and there
  double misaligned;  // metres: what keeps the gripper from going down
  double travel = kTravel;
};

// The yaw nearest to the present one that grasps a bar across, within the gripper's reach.
double BarYaw(double bar, double present) {
  const double yaw = present + Wrap(bar - present, kPi);
  if (yaw > kMaxYaw - 0.05) return yaw - kPi;
  if (yaw < -kMaxYaw + 0.05) return yaw + kPi;
  return yaw;
}

double YawFor(const SceneObject& object, const ObjectState& state, double present) {
  return object.shape == Shape::kBar ? BarYaw(state.yaw, present) : 0;
}

// To the nearest multiple of `unit`, at most `most` away from zero: what a learner has to tell apart are some twenty
// moves, not all numbers.
double Coarse(double x, double unit, double most) {
  return std::clamp(unit * std::round(x / unit), -most, most);
}

// Level, so far turned, and moved by so much, each axis limited by itself: far away only the direction's signs matter.
ActionVector Act(const GripperPose& g, double dx, double dy, double dz, double yaw, bool open) {
  const auto move = [](double x) { return Coarse(x, kMoveUnit, kMaxMove); };
  const auto turn = [](double angle) { return Coarse(kGain * angle, kTurnUnit, kMaxTurn); };
  const auto level = [&](double angle) { return std::abs(angle) < kLevel ? 0.0 : turn(-angle); };
  return {move(dx), move(dy), move(dz), level(g.roll), level(g.pitch), turn(yaw - g.yaw), open ? 1.0 : 0.0};
}

// Down a funnel: the height above the goal grows with the misalignment, and a gripper that is too low for where it is
// rises before it moves on.
ActionVector Approach(const GripperPose& g, const Goal& goal) {
  const double lift = std::clamp(kSlope * (goal.misaligned - kAligned), 0.0, std::max(0.0, goal.travel - goal.z));
  const double height = goal.z + lift;
  const double free = std::clamp(1 - (height - g.z - 0.012) / 0.025, 0.0, 1.0);
  return Act(g, kGain * free * (goal.x - g.x), kGain * free * (goal.y - g.y), kGain * (height - g.z), goal.yaw,
             goal.open);
}

ActionVector Reach(const GripperPose& g, const ObjectState& object) {
  const double away = std::hypot(object.position[0] - g.x, object.position[1] - g.y);
  return Approach(g, {object.position[0], object.position[1], object.top + kHoverAbove, 0, true, away});
}

// Above, aligned, down, closed: then the object is held.
ActionVector Grasp(const SceneObject& what, const ObjectState& object, const WorldState& state) {
  const GripperPose& g = state.gripper;
  const double yaw = YawFor(what, object, g.yaw);
  const double dx = object.position[0] - g.x, dy = object.position[1] - g.y, turn = std::abs(yaw - g.yaw);
  const double across = dx * std::cos(g.yaw) + dy * std::sin(g.yaw);
  const double along = -dx * std::sin(g.yaw) + dy * std::cos(g.yaw);
  const double z = std::max(object.position[2], kGripperLow + 0.001);
  if (std::abs(across) < kGraspAcross && std::abs(along) < kGraspAlong && std::abs(z - g.z) < kGraspHeight &&
      turn < kGraspYaw) {
    return Act(g, 0.3 * dx, 0.3 * dy, 0.3 * (z - g.z), yaw, false);
  }
  const double closed = std::max(0.0, 0.9 * 2 * kFingerTravel - state.opening);
  return Approach(g, {object.position[0], object.position[1], z, yaw, true,
                      std::hypot(dx, dy) + 0.06 * std::max(0.0, turn - 0.06) + 0.6 * closed});
}

ActionVector Pick(const SceneObject& what, const ObjectState& object, const WorldState& state) {
  if (!object.held()) return Grasp(what, object, state);
  const GripperPose& g = state.gripper;
  return Act(g, 0, 0, kGain * (kLiftBottom - object.bottom), g.yaw, false);
}

ActionVector Place(const SceneObject& what, const SceneZone& plate, const ObjectState& object,
                   const WorldState& state) {
  const GripperPose& g = state.gripper;
  const double dx = plate.x - object.position[0], dy = plate.y - object.position[1], away = std::hypot(dx, dy);
  if (away < kPlacedRadius && object.bottom < kRestHeight && !object.held()) {  // let go, then leave upwards
    return Act(g, 0, 0, state.opening >= kOpenEnough ? kMaxMove : 0, g.yaw, true);
  }
  if (!object.held()) return Grasp(what, object, state);
  const bool down = object.bottom < kDropBottom || g.z < kGripperLow + 0.004;  // one that slipped up in the hand
  if (away < kDropRadius && down) return Act(g, 0, 0, 0, g.yaw, true);
  const double bottom = 0.003 + std::clamp(kSlope * (away - 0.010), 0.0, kCarryBottom - 0.003);
  const double free = std::clamp(1 - (bottom - object.bottom - 0.012) / 0.025, 0.0, 1.0);
  return Act(g, kGain * free * dx, kGain * free * dy, kGain * (bottom - object.bottom), 0, false);
}

// The way an object is to be pushed, of length 1.
std::array<double, 2> PushDirection(const Scene& scene, const Task& task, const ObjectState& object) {
  if (!task.zone) return {task.side == Side::kLeft ? -1.0 : 1.0, 0};
  const SceneZone& zone = scene.zones[*task.zone];
  const double x = zone.x - object.position[0], y = zone.y - object.position[1];
  const double length = std::max(1e-6, std::hypot(x, y));
  return {x / length, y / length};
}

// From behind, low, with closed fingers, steering back to the line through the object.
ActionVector Push(const Scene& scene, const Task& task, const ObjectState& object, const WorldState& state,
                  double slide) {
  const GripperPose& g = state.gripper;
  const Vec3& p = object.position;
  const auto [ux, uy] = PushDirection(scene, task, object);
  const double rx = g.x - p[0], ry = g.y - p[1];
  const double behind = -(rx * ux + ry * uy), lateral = -rx * uy + ry * ux;
  const bool closed = state.opening < 0.02;
  if (closed && g.z < kPushHeight + 0.012 && behind > kPushNear && behind < kPushFar &&
      std::abs(lateral) < kPushLateral) {
    const double steer = -0.9 * lateral;
    return Act(g, kPushSpeed * ux - steer * uy, kPushSpeed * uy + steer * ux, kGain * (kPushHeight - g.z), 0, false);
  }
  const auto [x, y] = PushStart(scene, task, object);
  const double away = std::hypot(x - g.x, y - g.y);
  const double misaligned =
      closed ? std::max(0.0, away - (std::hypot(rx, ry) > kPushClear ? slide : 0)) : away + 0.6 * state.opening;
  return Approach(g, {x, y, kPushHeight, 0, false, misaligned});
}

}  // namespace

std::array<double, 2> PushStart(const Scene& scene, const Task& task, const ObjectState& object) {
  const auto [x, y] = PushDirection(scene, task, object);
  return {object.position[0] - kPushStandoff * x, object.position[1] - kPushStandoff * y};
}

ActionVector ExpertAction(const Scene& scene, const Task& task, const WorldState& state, double push_slide) {
  const ObjectState& object = state.objects.at(task.object);
  const SceneObject& what = scene.objects[task.object];
  switch (task.kind) {
    case TaskKind::kReach:
      return Reach(state.gripper, object);
    case TaskKind::kPush:
      return Push(scene, task, object, state, push_slide);
    case TaskKind::kPick:
    case TaskKind::kPickBar:
      return Pick(what, object, state);
    case TaskKind::kPlace:
      break;
  }
  return Place(what, scene.zones[task.zone.value()], object, state);
}

}  // namespace kinetok::sim
