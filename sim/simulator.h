// A table, objects and a floating two-finger gripper, moved by MuJoCo (Todorov, Erez, Tassa 2012).
//
//   Simulator simulator(scene);
//   simulator.Step(action);                        // 0.2 s
//   simulator.state().objects[0].position;
//
// An action has seven numbers: dx, dy, dz in metres, droll, dpitch, dyaw in radians, and the gripper, open from 0.5 on
// and closed below (1 open, 0 closed). The gripper goes to its present pose plus these deltas, each clamped to
// kMaxMove and kMaxTurn, and to the gripper's reach. The same scene and actions give the same states, bit for bit.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kinetok/base/error.h"
#include "sim/scene.h"

struct mjModel_;
struct mjData_;

namespace kinetok::sim {

inline constexpr double kControlPeriod = 0.2;  // seconds: 5 Hz
inline constexpr double kMaxMove = 0.03, kMaxTurn = 0.35;
inline constexpr size_t kActionSize = 7;
using ActionVector = std::array<double, kActionSize>;
using Vec3 = std::array<double, 3>;

struct ObjectState {
  Vec3 position{};                   // of the middle
  double yaw = 0;                    // of its own x axis, seen from above; a bar's is that of the axis across it
  double bottom = 0;                 // height of its lowest point above the table
  double top = 0;                    // and of its highest
  double speed = 0;                  // of the middle, metres a second
  bool left = false, right = false;  // touched by that finger

  bool touched() const { return left || right; }
  bool held() const { return left && right; }
};

struct WorldState {
  GripperPose gripper{};
  double opening = 0;  // between the fingers' inner faces, metres
  std::vector<ObjectState> objects{};

  int held() const;  // the index of the object that both fingers touch and that is off the table, or -1
};

// The physics of one scene failed, through nobody's input; other scenes are none the worse.
class PhysicsError : public Error {
 public:
  using Error::Error;
};

class Simulator {
 public:
  // Everything at rest. Throws Error when the scene cannot be built.
  explicit Simulator(const Scene& scene);
  ~Simulator();
  Simulator(Simulator&&) noexcept;
  Simulator& operator=(Simulator&&) noexcept;

  // One control period. Throws Error unless the action has seven finite numbers, and PhysicsError when the motion
  // became unstable or MuJoCo had no room for all contacts and left some out.
  void Step(std::span<const double> action);
  const WorldState& state() const { return state_; }
  const Scene& scene() const { return scene_; }
  // Whether the camera sees most of an object: it is in the picture, and the gripper and other objects leave it free.
  bool InSight(size_t object) const;

  // The whole physical state; a simulator of the same scene that loads it goes on with the same bits. Throws Error when
  // the numbers are not as many as Save gives, or not finite.
  std::vector<double> Save() const;
  void Load(std::span<const double> saved);

  // For the renderer.
  mjModel_* model() const { return model_.get(); }
  mjData_* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(mjModel_* model) const;
    void operator()(mjData_* data) const;
  };
  void Derive();                         // fills state_
  void CheckPhysics(double time) const;  // of the step's beginning, seconds

  Scene scene_;
  std::unique_ptr<mjModel_, Free> model_;
  std::unique_ptr<mjData_, Free> data_;
  std::vector<int> body_, geom_;  // of each object
  WorldState state_;
};

}  // namespace kinetok::sim
