#include "sim/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/expert.h"

namespace kinetok::sim {
namespace {

int Units(double x, double unit = kPlaceUnit) {
  constexpr int kMost = 99;
  return std::clamp(static_cast<int>(std::lround(x / unit)), -kMost, kMost);
}

std::string FromGripper(const GripperPose& g, double x, double y) {
  return fmt::format("{:+03}{:+03}", Units(x - g.x), Units(y - g.y));
}

std::string OnTable(double x, double y) {
  const auto from_edge = [](double p) { return std::max(0, Units(p + kGripperReach)); };
  return fmt::format("{:02}{:02}", from_edge(x), from_edge(y));
}

// "yellow bar:+02-11+07"
std::string ObjectFromGripper(const SceneObject& what, const ObjectState& object, const GripperPose& g) {
  std::string place = fmt::format("{}:{}", what.Name(), FromGripper(g, object.position[0], object.position[1]));
  if (what.shape != Shape::kBar) return place;
  return place + fmt::format("{:+03}", Units(Wrap(object.yaw - g.yaw, kPi), kTurnStep));
}

}  // namespace

std::string_view DescribePrompt(Origin origin) {
  return origin == Origin::kTable ? "what is where?" : "what is where from the gripper?";
}

std::string Describe(const Simulator& simulator, Origin origin, Draws& draws) {
  const Scene& scene = simulator.scene();
  const WorldState& state = simulator.state();
  const GripperPose& g = state.gripper;
  const bool table = origin == Origin::kTable;
  const auto place = [&](double x, double y) { return table ? OnTable(x, y) : FromGripper(g, x, y); };
  const int height = std::max(0, Units(g.z));
  std::vector<std::string> all = {table ? fmt::format("gripper:{}{:02}", OnTable(g.x, g.y), height)
                                        : fmt::format("gripper:{:02}", height)};
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    if (!simulator.InSight(i)) continue;
    const SceneObject& what = scene.objects[i];
    const ObjectState& object = state.objects[i];
    all.push_back(table ? fmt::format("{}:{}", what.Name(), OnTable(object.position[0], object.position[1]))
                        : ObjectFromGripper(what, object, g));
  }
  for (const SceneZone& zone : scene.zones) all.push_back(fmt::format("{}:{}", zone.Name(), place(zone.x, zone.y)));
  for (size_t i = all.size() - 1; i > 0; --i) std::swap(all[i], all[draws.Below(i + 1)]);
  return fmt::format("{}", fmt::join(all, ", "));
}

std::optional<std::string> DescribePlan(const Simulator& simulator, const Task& task) {
  if (!simulator.InSight(task.object)) return {};
  const Scene& scene = simulator.scene();
  const WorldState& state = simulator.state();
  const GripperPose& g = state.gripper;
  const ObjectState& object = state.objects[task.object];
  std::string plan = ObjectFromGripper(scene.objects[task.object], object, g);
  if (task.zone) {
    const SceneZone& zone = scene.zones[*task.zone];
    plan += fmt::format(", {}:{}", zone.Name(), FromGripper(g, zone.x, zone.y));
  }
  if (task.kind == TaskKind::kPush) {
    const auto [x, y] = PushStart(scene, task, object);
    plan += fmt::format(", start:{}", FromGripper(g, x, y));
  }
  return plan;
}

std::string PlanPrompt(std::string_view instruction) {
  return fmt::format("where must the robot go to {}?", instruction);
}

std::vector<std::string> PatchWords(const Simulator& simulator, Renderer& renderer, int64_t patch, Draws& draws) {
  const int64_t size = renderer.size(), side = size / patch;
  const std::vector<int> seen = renderer.Segment(simulator);
  const Scene& scene = simulator.scene();
  const auto word = [&](int what) -> std::string_view {
    if (what == Renderer::kTable) return "table";
    if (what == Renderer::kGripper) return "hand";
    if (what == Renderer::kSpot) return "spot";
    const bool color = draws.Chance(0.5);
    if (what < Renderer::kFirstZone) {
      const SceneObject& object = scene.objects[static_cast<size_t>(what)];
      return color ? Name(object.color) : Name(object.shape);
    }
    const SceneZone& zone = scene.zones[static_cast<size_t>(what - Renderer::kFirstZone)];
    return color ? Name(zone.color) : Name(zone.shape);
  };
  std::vector<std::string> words;
  for (int64_t p = 0; p < side * side; ++p) {
    std::map<int, int64_t> pixels;
    for (int64_t i = 0; i < patch * patch; ++i) {
      ++pixels[seen[static_cast<size_t>((p / side * patch + i / patch) * size + p % side * patch + i % patch)]];
    }
    int most = Renderer::kTable;
    auto least = static_cast<int64_t>(kPatchShare * static_cast<double>(patch * patch));
    for (const auto& [what, count] : pixels) {
      if (what == Renderer::kTable || count <= least) continue;
      most = what;
      least = count;
    }
    words.emplace_back(word(most));
  }
  return words;
}

}  // namespace kinetok::sim
