#include "sim/tasks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kinetok/base/error.h"

namespace kinetok::sim {
namespace {

// {0} is the object, {1} the zone or the side.
using Templates = std::vector<std::string_view>;

const Templates& TemplatesOf(const Task& task) {
  static const Templates kReach = {"move to the {0}",
                                   "go to the {0}",
                                   "reach for the {0}",
                                   "move the gripper above the {0}",
                                   "bring the gripper to the {0}",
                                   "point at the {0}"};
  static const Templates kPushSide = {"push the {0} to the {1}", "push the {0} {1}", "slide the {0} to the {1}",
                                      "shove the {0} to the {1}", "nudge the {0} to the {1}"};
  static const Templates kPushZone = {"push the {0} into the {1}", "push the {0} onto the {1}",
                                      "slide the {0} into the {1}", "shove the {0} into the {1}",
                                      "push the {0} to the {1}"};
  static const Templates kPick = {"pick up the {0}", "lift the {0}",    "grab the {0}",
                                  "take the {0}",    "pick the {0} up", "raise the {0}"};
  static const Templates kPlace = {"put the {0} on the {1}", "place the {0} on the {1}", "set the {0} on the {1}",
                                   "lay the {0} on the {1}", "pick up the {0} and put it on the {1}"};
  switch (task.kind) {
    case TaskKind::kReach:
      return kReach;
    case TaskKind::kPush:
      return task.zone ? kPushZone : kPushSide;
    case TaskKind::kPick:
    case TaskKind::kPickBar:
      return kPick;
    case TaskKind::kPlace:
      break;
  }
  return kPlace;
}

bool InZone(const SceneZone& zone, const Vec3& p) {
  if (zone.shape == ZoneShape::kPlate) return std::hypot(p[0] - zone.x, p[1] - zone.y) <= kZoneHalf - kZoneMargin;
  return std::abs(p[0] - zone.x) <= kZoneHalf - kZoneMargin && std::abs(p[1] - zone.y) <= kZoneHalf - kZoneMargin;
}

bool Pushed(const Scene& scene, const Task& task, const WorldState& state) {
  const ObjectState& object = state.objects[task.object];
  if (object.bottom > kRestHeight) return false;                 // carried, or thrown
  if (object.held() && state.opening >= kGripped) return false;  // dragged
  if (task.zone) return InZone(scene.zones[*task.zone], object.position);
  const SceneObject& start = scene.objects[task.object];
  const double moved = object.position[0] - start.x;
  return (task.side == Side::kLeft ? -moved : moved) >= kPushDistance &&
         std::abs(object.position[1] - start.y) < kPushSideways;
}

bool Lifted(const ObjectState& object) {
  return object.held() && object.bottom >= kPickHeight;
}

}  // namespace

std::string_view Name(TaskKind kind) {
  constexpr std::array<std::string_view, kTasks.size()> kNames = {"reach", "push", "pick", "pick_bar", "place"};
  return kNames[static_cast<size_t>(kind)];
}

std::vector<TaskKind> ParseTasks(std::string_view names) {
  std::vector<TaskKind> kinds;
  for (size_t at = 0; at <= names.size();) {
    const size_t end = std::min(names.find(',', at), names.size());
    const std::string_view name = names.substr(at, end - at);
    at = end + 1;
    const auto found = std::find_if(kTasks.begin(), kTasks.end(), [&](TaskKind kind) { return Name(kind) == name; });
    if (found == kTasks.end()) {
      Fail("tasks: \"{}\" is no task; expected reach, push, pick, pick_bar or place, with commas between them", name);
    }
    kinds.push_back(*found);
  }
  return kinds;
}

std::vector<TaskKind> Distinct(const std::vector<TaskKind>& kinds) {
  std::vector<TaskKind> distinct;
  for (const TaskKind kind : kinds) {
    if (std::find(distinct.begin(), distinct.end(), kind) == distinct.end()) distinct.push_back(kind);
  }
  return distinct;
}

std::vector<std::string> NamesOf(const Scene& scene, size_t object) {
  const SceneObject& named = scene.objects.at(object);
  std::vector<std::string> names = {named.Name()};
  const auto alone = [&](const auto& same) {
    return std::count_if(scene.objects.begin(), scene.objects.end(), same) == 1;
  };
  if (alone([&](const SceneObject& o) { return o.shape == named.shape; })) names.emplace_back(Name(named.shape));
  if (alone([&](const SceneObject& o) { return o.color == named.color; })) {
    names.push_back(fmt::format("{} object", Name(named.color)));
  }
  return names;
}

std::vector<std::string> Phrasings(const Scene& scene, const Task& task, std::string_view name) {
  const std::string where = task.zone ? scene.zones.at(*task.zone).Name() : task.side == Side::kLeft ? "left" : "right";
  std::vector<std::string> texts;
  for (const std::string_view phrase : TemplatesOf(task)) {
    texts.push_back(fmt::format(fmt::runtime(phrase), name, where));
  }
  return texts;
}

std::vector<Task> TasksOf(const Scene& scene) {
  std::vector<Task> tasks;
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    const bool bar = scene.objects[i].shape == Shape::kBar;
    tasks.push_back({TaskKind::kReach, i});
    tasks.push_back({bar ? TaskKind::kPickBar : TaskKind::kPick, i});
    if (bar) continue;
    tasks.push_back({TaskKind::kPush, i, {}, Side::kLeft});
    tasks.push_back({TaskKind::kPush, i, {}, Side::kRight});
    for (size_t z = 0; z < scene.zones.size(); ++z) {
      tasks.push_back({scene.zones[z].shape == ZoneShape::kPlate ? TaskKind::kPlace : TaskKind::kPush, i, z});
    }
  }
  return tasks;
}

std::optional<Task> FindTask(const Scene& scene, std::string_view instruction) {
  for (const Task& task : TasksOf(scene)) {
    for (const std::string& name : NamesOf(scene, task.object)) {
      const std::vector<std::string> texts = Phrasings(scene, task, name);
      if (std::find(texts.begin(), texts.end(), instruction) != texts.end()) return task;
    }
  }
  return std::nullopt;
}

Task ParseInstruction(const Scene& scene, std::string_view instruction) {
  if (const std::optional<Task> task = FindTask(scene, instruction)) return *task;
  Fail("instruction \"{}\" asks for nothing that can be done in this scene", instruction);
}

bool Succeeded(const Scene& scene, const Task& task, const WorldState& state) {
  const ObjectState& object = state.objects.at(task.object);
  const Vec3& p = object.position;
  switch (task.kind) {
    case TaskKind::kReach: {
      const GripperPose& g = state.gripper;
      return std::hypot(g.x - p[0], g.y - p[1], g.z - object.top) <= kReachRadius;
    }
    case TaskKind::kPush:
      return Pushed(scene, task, state);
    case TaskKind::kPick:
      return Lifted(object);
    case TaskKind::kPickBar:
      return Lifted(object) && std::abs(Wrap(object.yaw - state.gripper.yaw, kPi)) <= kBarAlignment &&
             std::abs(Wrap(object.yaw - scene.objects[task.object].yaw, kPi)) <= kBarAlignment;
    case TaskKind::kPlace:
      break;
  }
  const SceneZone& plate = scene.zones.at(task.zone.value());
  return std::hypot(p[0] - plate.x, p[1] - plate.y) <= kPlaceRadius && object.bottom <= kRestHeight &&
         object.speed <= kRestSpeed && !object.touched() && state.opening >= kOpenEnough;
}

}  // namespace kinetok::sim
