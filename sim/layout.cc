#include "sim/layout.h"

#include <algorithm>
#include <cmath>

#include "kinetok/base/error.h"
#include "sim/draws.h"

namespace kinetok::sim {
namespace {

constexpr double kFingerRoom = 0.062;  // from a target's middle to the outside of an open finger, and a little more
constexpr double kGap = 0.012;         // between anything else
constexpr double kPushRoom = 0.075;    // behind an object that is pushed, for the gripper
constexpr double kPushWidth = 0.026;   // half the width of the lane it is pushed along
constexpr double kPushMargin = 0.03;   // beyond its goal
constexpr double kPushReach = 0.165;   // of the gripper when it pushes
constexpr double kBarTurn = 0.96;      // 55 degrees: grasping a bar never needs more than the gripper can turn
constexpr double kCubeTurn = 0.30;
constexpr int kAttempts = 20000;

struct Point {
  double x, y;
};

// The lane of a push: everything else stays out of it.
struct Lane {
  Point from, to;
};

double DistanceToLane(const Lane& lane, Point p) {
  const double dx = lane.to.x - lane.from.x, dy = lane.to.y - lane.from.y;
  const double t = std::clamp(((p.x - lane.from.x) * dx + (p.y - lane.from.y) * dy) / (dx * dx + dy * dy), 0.0, 1.0);
  return std::hypot(p.x - lane.from.x - t * dx, p.y - lane.from.y - t * dy);
}

// First what there is, then places for it, as often as it takes; things that hardly ever fit are drawn anew.
class Builder {
 public:
  Builder(Draws& draws, TaskKind kind, const LayoutOptions& options)
      : draws_(draws), kind_(kind), combinations_(options.combinations), partial_names_(options.partial_names) {}

  Situation Build() {
    do {
      DrawThings();
      for (int attempt = 0; attempt < kAttempts; ++attempt) {
        placed_.clear();
        PlaceTarget();
        if (!PlaceZones() || !PlaceLane() || !PlaceOthers()) continue;
        DrawGripper();
        return {scene_, task_, DrawInstruction()};
      }
    } while (true);
  }

 private:
  bool Allowed(Color color, Shape shape, bool target) const {
    const bool held_out = IsHeldOut(color, shape);
    if (combinations_ == Combinations::kSeen) return !held_out;
    return combinations_ == Combinations::kAll || !target || held_out;
  }

  std::vector<Shape> TargetShapes() const {
    if (kind_ == TaskKind::kPickBar) return {Shape::kBar};
    if (kind_ == TaskKind::kReach) return {kShapes.begin(), kShapes.end()};
    return {Shape::kCube, Shape::kCylinder, Shape::kBall};
  }

  // What there is, and what is asked for; where it stands comes later.
  void DrawThings() {
    scene_ = {};
    task_ = {.kind = kind_};
    std::vector<SceneObject> candidates, targets;
    const std::vector<Shape> shapes = TargetShapes();
    for (const Shape any : kShapes) {
      for (const Color color : kColors) {
        if (Allowed(color, any, false)) candidates.push_back({any, color});
        if (Allowed(color, any, true)) targets.push_back({any, color});
      }
    }
    // Every shape equally often, whatever its number of colours.
    const Shape shape = draws_.Choose(shapes);
    std::erase_if(targets, [&](const SceneObject& o) { return o.shape != shape; });
    scene_.objects.push_back(draws_.Choose(targets));
    const size_t count = 2 + draws_.Below(3);
    while (scene_.objects.size() < count) {
      const SceneObject& next = draws_.Choose(candidates);
      const bool there = std::any_of(scene_.objects.begin(), scene_.objects.end(), [&](const SceneObject& o) {
        return o.color == next.color && o.shape == next.shape;
      });
      if (!there) scene_.objects.push_back(next);
    }
    for (SceneObject& object : scene_.objects) {
      const double turn = object.shape == Shape::kBar ? kBarTurn : object.shape == Shape::kCube ? kCubeTurn : 0;
      object.yaw = draws_.Uniform(-turn, turn);
    }
    const bool to_zone = kind_ == TaskKind::kPush && draws_.Chance(0.5);
    const Side side = draws_.Chance(0.5) ? Side::kLeft : Side::kRight;
    if (kind_ == TaskKind::kPush && !to_zone) task_.side = side;
    if (to_zone || kind_ == TaskKind::kPlace) task_.zone = 0;
    const size_t zones = 1 + draws_.Below(2);
    while (scene_.zones.size() < zones) {
      SceneZone zone{draws_.Chance(0.5) ? ZoneShape::kZone : ZoneShape::kPlate, kColors[draws_.Below(kColors.size())]};
      const bool goal = scene_.zones.empty() && task_.zone.has_value();
      if (goal) zone.shape = kind_ == TaskKind::kPlace ? ZoneShape::kPlate : ZoneShape::kZone;
      const bool clash = (goal && zone.color == scene_.objects[0].color) ||
                         (!scene_.zones.empty() && scene_.zones[0].color == zone.color);
      if (!clash) scene_.zones.push_back(zone);
    }
  }

  Point DrawPoint(double reach = kLayoutReach) {
    const double x = draws_.Uniform(-reach, reach);
    return {x, draws_.Uniform(-reach, reach)};
  }

  void PlaceTarget() {
    const Point p = DrawPoint();
    scene_.objects[0].x = p.x;
    scene_.objects[0].y = p.y;
    placed_.push_back({p, Radius(scene_.objects[0].shape), true});
  }

  bool PlaceZones() {
    for (SceneZone& zone : scene_.zones) {
      const Point p = DrawPoint(kLayoutReach - 0.02);
      for (const Placed& other : placed_) {
        if (std::hypot(p.x - other.at.x, p.y - other.at.y) < kZoneHalf + other.radius + kGap) return false;
      }
      zone.x = p.x;
      zone.y = p.y;
      placed_.push_back({p, kZoneHalf, false});
    }
    return true;
  }

  // A push needs room behind the object, within the gripper's reach, and a free lane ahead.
  bool PlaceLane() {
    if (kind_ != TaskKind::kPush) return true;
    const SceneObject& object = scene_.objects[0];
    Point goal{object.x + (task_.side == Side::kLeft ? -1 : 1) * (kPushDistance + kPushMargin), object.y};
    if (task_.zone) goal = {scene_.zones[*task_.zone].x, scene_.zones[*task_.zone].y};
    const double length = std::hypot(goal.x - object.x, goal.y - object.y);
    if (length > 0.2 || std::abs(goal.x) > kLayoutReach + kPushMargin) return false;
    const Point behind{object.x - (goal.x - object.x) / length * kPushRoom,
                       object.y - (goal.y - object.y) / length * kPushRoom};
    lane_ = {behind, goal};
    return std::abs(behind.x) <= kPushReach && std::abs(behind.y) <= kPushReach;
  }

  bool PlaceOthers() {
    for (size_t i = 1; i < scene_.objects.size(); ++i) {
      SceneObject& object = scene_.objects[i];
      const Point p = DrawPoint();
      const double radius = Radius(object.shape);
      for (const Placed& other : placed_) {
        const double room = other.target ? std::max(kFingerRoom, other.radius + kGap) : other.radius + kGap;
        if (std::hypot(p.x - other.at.x, p.y - other.at.y) < radius + room) return false;
      }
      if (kind_ == TaskKind::kPush && DistanceToLane(lane_, p) < radius + kPushWidth) return false;
      object.x = p.x;
      object.y = p.y;
      placed_.push_back({p, radius, false});
    }
    return true;
  }

  void DrawGripper() {
    GripperPose& g = scene_.gripper;
    const Point p = DrawPoint();
    g.x = p.x;
    g.y = p.y;
    g.z = draws_.Uniform(0.080, 0.130);
    g.yaw = draws_.Uniform(-0.4, 0.4);
    scene_.open = draws_.Chance(0.75);
  }

  std::string DrawInstruction() {
    const std::vector<std::string> names = NamesOf(scene_, task_.object);
    const bool partial = partial_names_ > 0 && names.size() > 1 && draws_.Chance(partial_names_);
    return draws_.Choose(Phrasings(scene_, task_, names[partial ? 1 + draws_.Below(names.size() - 1) : 0]));
  }

  struct Placed {
    Point at;
    double radius;
    bool target;
  };

  Draws& draws_;
  TaskKind kind_;
  Combinations combinations_;
  double partial_names_;
  Scene scene_{};
  Task task_{};
  Lane lane_{};
  std::vector<Placed> placed_{};
};

}  // namespace

std::string_view Name(Combinations combinations) {
  constexpr std::array<std::string_view, 3> kNames = {"seen", "unseen", "all"};
  return kNames[static_cast<size_t>(combinations)];
}

Combinations ParseCombinations(std::string_view name) {
  for (const Combinations c : {Combinations::kSeen, Combinations::kUnseen, Combinations::kAll}) {
    if (Name(c) == name) return c;
  }
  Fail("combinations is \"{}\"; expected seen, unseen or all", name);
}

void LayoutOptions::Check() const {
  if (tasks.empty()) Fail("tasks: there is none; expected at least one");
  if (!(partial_names >= 0 && partial_names <= 1)) Fail("partial_names is {}; expected 0 to 1", partial_names);
}

Situation DrawSituation(uint64_t seed, uint64_t episode, const LayoutOptions& options) {
  options.Check();
  Draws draws(seed, RandomStream::kScene, episode);
  return Builder(draws, options.tasks[episode % options.tasks.size()], options).Build();
}

}  // namespace kinetok::sim
