// What stands on the table: coloured objects, flat coloured zones and plates, and where the gripper begins.
//
// Lengths are metres and angles radians, in one frame: x to the right as the camera sees it, y away from the camera, z
// up from the table's top. Objects and zones lie within kLayoutReach of the middle.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kinetok::sim {

inline constexpr double kPi = 3.14159265358979323846;
// The angle within half a period of zero that differs from `angle` by whole periods.
double Wrap(double angle, double period);

enum class Color : uint8_t { kRed, kGreen, kBlue, kYellow, kPurple, kOrange };
enum class Shape : uint8_t { kCube, kCylinder, kBall, kBar };
enum class ZoneShape : uint8_t { kZone, kPlate };  // a square of 10 cm, a disc of 10 cm; both are paint

inline constexpr std::array kColors = {Color::kRed,    Color::kGreen,  Color::kBlue,
                                       Color::kYellow, Color::kPurple, Color::kOrange};
inline constexpr std::array kShapes = {Shape::kCube, Shape::kCylinder, Shape::kBall, Shape::kBar};

std::string_view Name(Color color);
std::string_view Name(Shape shape);
std::string_view Name(ZoneShape shape);

inline constexpr double kLayoutReach = 0.13;                              // of an object's or zone's middle, in x and y
inline constexpr double kZoneHalf = 0.05;                                 // half the side, or the radius
inline constexpr std::array<double, 3> kFinger = {0.006, 0.010, 0.0275};  // half sizes
inline constexpr double kFingerBelow = 0.010;   // how far a finger reaches below the gripper's point
inline constexpr double kFingerTravel = 0.040;  // of each finger; the gripper opens to twice that
// Where the gripper's point may go. Yaw goes a little beyond a quarter turn, so that every bar can be grasped.
inline constexpr double kGripperReach = 0.175, kGripperLow = 0.012, kGripperHigh = 0.150;
inline constexpr double kMaxTilt = 0.25, kMaxYaw = 1.75;

// The extent of a shape about its middle, as it stands on the table: half sizes along its own axes.
std::array<double, 3> HalfSize(Shape shape);
// A circle about its middle that it never leaves, seen from above.
double Radius(Shape shape);

struct SceneObject {
  Shape shape = Shape::kCube;
  Color color = Color::kRed;
  double x = 0, y = 0, yaw = 0;

  std::string Name() const;  // "red cube"
};

struct SceneZone {
  ZoneShape shape = ZoneShape::kZone;
  Color color = Color::kBlue;
  double x = 0, y = 0;

  std::string Name() const;  // "blue plate"
};

// The point between the finger tips, and the turns about z, then y, then x. At yaw 0 the fingers close along x.
struct GripperPose {
  double x = 0, y = 0, z = 0.10, roll = 0, pitch = 0, yaw = 0;
};

struct Scene {
  std::vector<SceneObject> objects{};
  std::vector<SceneZone> zones{};
  GripperPose gripper{};
  bool open = true;
};

// Combinations of colour and shape that training never sees, while it sees every colour and every shape in others.
bool IsHeldOut(Color color, Shape shape);

// The scene as MuJoCo's XML. Throws Error when there is an object or zone too many or out of reach.
std::string SceneXml(const Scene& scene);
inline constexpr size_t kMaxObjects = 6, kMaxZones = 4;

}  // namespace kinetok::sim
