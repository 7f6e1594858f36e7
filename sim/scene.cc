#include "sim/scene.h"

#include <fmt/format.h>

#include <cmath>

#include "kinetok/base/error.h"

namespace kinetok::sim {
namespace {

struct Rgb {
  double r, g, b;
};

constexpr std::array<Rgb, kColors.size()> kPaint = {{{0.84, 0.05, 0.07},
                                                     {0.05, 0.55, 0.12},
                                                     {0.10, 0.34, 0.98},
                                                     {0.98, 0.86, 0.05},
                                                     {0.64, 0.22, 0.80},
                                                     {1.00, 0.47, 0.00}}};

Rgb Paint(Color color) {
  return kPaint[static_cast<size_t>(color)];
}

// Zones are paler, so that an object stands out on one.
Rgb Pale(Color color) {
  const Rgb c = Paint(color);
  constexpr double kWhite = 0.45;
  return {c.r + (1 - c.r) * kWhite, c.g + (1 - c.g) * kWhite, c.b + (1 - c.b) * kWhite};
}

// Time constants, contacts, the light and the camera. The camera stands far off and sees a narrow angle, so that a
// centimetre has nearly the same size everywhere; the lamp hangs straight above, so that shadows fall where things are.
// The table is a plane, which no renderer draws, below paint: MuJoCo rests a cylinder on a plane, and rocks it on a
// box.
constexpr std::string_view kWorld = R"(
<mujoco model="table">
 <compiler angle="radian"/>
 <option timestep="0.002" cone="elliptic" impratio="10" iterations="30" tolerance="1e-9"/>
 <size njmax="240" nconmax="60" nstack="40000"/>
 <statistic extent="0.5" center="0 0 0.05"/>
 <visual>
  <quality shadowsize="512" offsamples="4" numslices="16" numstacks="10" numquads="2"/>
  <map znear="0.5" zfar="8" shadowclip="0.6"/>
  <headlight ambient="0.47 0.47 0.47" diffuse="0.30 0.30 0.30" specular="0 0 0"/>
 </visual>
 <default>
  <geom solref="0.008 1" friction="0.7 0.005 0.001"/>
  <default class="paint"><geom contype="0" conaffinity="0" group="1"/></default>
  <default class="finger">
   <joint type="slide" damping="22" range="0 {travel}" limited="true"/>
   <geom type="box" friction="2 0.05 0.001" condim="4" group="2" rgba="0.10 0.95 1.00 1" mass="0.1"/>
  </default>
  <default class="object"><joint damping="0.0002"/><geom condim="4" mass="0.04"/></default>
 </default>
 <worldbody>
  <light directional="true" pos="0 0 1.2" dir="0 0 -1" diffuse="0.30 0.30 0.30" specular="0 0 0"/>
  <camera name="front" pos="0 {camera_y} {camera_z}" xyaxes="1 0 0 0 {sin} {cos}" fovy="{fovy}"/>
  <geom name="table" type="plane" size="0.6 0.8 0.1" group="3"/>
  <geom class="paint" type="box" pos="0 0 -0.02" size="0.6 0.8 0.02" rgba="0.93 0.92 0.89 1"/>
  <body name="gripper">
   <joint name="x" type="slide" axis="1 0 0" damping="110"/>
   <joint name="y" type="slide" axis="0 1 0" damping="110"/>
   <joint name="z" type="slide" axis="0 0 1" damping="110"/>
   <joint name="yaw" type="hinge" axis="0 0 1" damping="0.5" armature="0.005"/>
   <joint name="pitch" type="hinge" axis="0 1 0" damping="0.5" armature="0.005"/>
   <joint name="roll" type="hinge" axis="1 0 0" damping="0.5" armature="0.005"/>
   <geom name="palm" group="2" type="box" pos="0 0 {palm_z}" size="0.054 0.012 0.009" rgba="0.16 0.17 0.20 1" mass="0.6"/>
   <geom class="paint" group="2" type="cylinder" pos="0 0 {wrist_z}" size="0.013 0.010" rgba="0.16 0.17 0.20 1" mass="0"/>
   <body name="left" pos="-{thick} 0 {finger_z}">
    <joint name="left" class="finger" axis="-1 0 0"/><geom name="left" class="finger" size="{finger}"/>
   </body>
   <body name="right" pos="{thick} 0 {finger_z}">
    <joint name="right" class="finger" axis="1 0 0"/><geom name="right" class="finger" size="{finger}"/>
   </body>
  </body>
)";

constexpr std::string_view kActuators = R"(
 </worldbody>
 <contact><exclude body1="left" body2="right"/></contact>
 <equality><joint joint1="left" joint2="right" solref="0.004 1"/></equality>
 <actuator>
  <position joint="x" kp="3000" forcelimited="true" forcerange="-60 60"/>
  <position joint="y" kp="3000" forcelimited="true" forcerange="-60 60"/>
  <position joint="z" kp="3000" forcelimited="true" forcerange="-60 60"/>
  <position joint="yaw" kp="10" forcelimited="true" forcerange="-3 3"/>
  <position joint="pitch" kp="10" forcelimited="true" forcerange="-3 3"/>
  <position joint="roll" kp="10" forcelimited="true" forcerange="-3 3"/>
  <position joint="left" kp="600" forcelimited="true" forcerange="-7 7"/>
  <position joint="right" kp="600" forcelimited="true" forcerange="-7 7"/>
 </actuator>
</mujoco>
)";

std::string ObjectXml(size_t index, const SceneObject& object) {
  const auto h = HalfSize(object.shape);
  const Rgb c = Paint(object.color);
  std::string geom;
  switch (object.shape) {
    case Shape::kCube:
    case Shape::kBar:
      geom = fmt::format("type=\"box\" size=\"{} {} {}\"", h[0], h[1], h[2]);
      break;
    case Shape::kCylinder:
      geom = fmt::format("type=\"cylinder\" condim=\"6\" size=\"{} {}\"", h[0], h[2]);
      break;
    case Shape::kBall:
      geom = fmt::format("type=\"sphere\" condim=\"6\" size=\"{}\"", h[0]);
      break;
  }
  return fmt::format(
      "  <body name=\"object{}\" pos=\"{} {} {}\" euler=\"0 0 {}\"><joint type=\"free\" class=\"object\"/><geom "
      "name=\"object{}\" "
      "class=\"object\" {} rgba=\"{} {} {} 1\"/></body>\n",
      index, object.x, object.y, h[2], object.yaw, index, geom, c.r, c.g, c.b);
}

std::string ZoneXml(size_t index, const SceneZone& zone) {
  const Rgb c = Pale(zone.color);
  constexpr double kThin = 0.0005;
  return fmt::format("  <geom name=\"zone{}\" class=\"paint\" {} pos=\"{} {} {}\" rgba=\"{} {} {} 1\"/>\n", index,
                     zone.shape == ZoneShape::kZone ? fmt::format("type=\"box\" size=\"{0} {0} {1}\"", kZoneHalf, kThin)
                                                    : fmt::format("type=\"cylinder\" size=\"{} {}\"", kZoneHalf, kThin),
                     zone.x, zone.y, kThin, c.r, c.g, c.b);
}

void CheckWithin(std::string_view what, double x, double y) {
  if (!(std::abs(x) <= kGripperReach && std::abs(y) <= kGripperReach)) {
    Fail("scene: the {} is at ({}, {}); expected within {} m of the middle in x and in y", what, x, y, kGripperReach);
  }
}

}  // namespace

double Wrap(double angle, double period) {
  return angle - period * std::round(angle / period);
}

std::string_view Name(Color color) {
  constexpr std::array<std::string_view, kColors.size()> kNames = {"red",    "green",  "blue",
                                                                   "yellow", "purple", "orange"};
  return kNames[static_cast<size_t>(color)];
}

std::string_view Name(Shape shape) {
  constexpr std::array<std::string_view, kShapes.size()> kNames = {"cube", "cylinder", "ball", "bar"};
  return kNames[static_cast<size_t>(shape)];
}

std::string_view Name(ZoneShape shape) {
  return shape == ZoneShape::kZone ? "zone" : "plate";
}

std::string SceneObject::Name() const {
  return fmt::format("{} {}", sim::Name(color), sim::Name(shape));
}
std::string SceneZone::Name() const {
  return fmt::format("{} {}", sim::Name(color), sim::Name(shape));
}

std::array<double, 3> HalfSize(Shape shape) {
  switch (shape) {
    case Shape::kCylinder:
      return {0.020, 0.020, 0.026};
    case Shape::kBall:
      return {0.021, 0.021, 0.021};
    case Shape::kBar:
      return {0.015, 0.045, 0.015};
    case Shape::kCube:
      break;
  }
  return {0.020, 0.020, 0.020};
}

double Radius(Shape shape) {
  const auto h = HalfSize(shape);
  return shape == Shape::kCube || shape == Shape::kBar ? std::hypot(h[0], h[1]) : h[0];
}

bool IsHeldOut(Color color, Shape shape) {
  return (shape == Shape::kCube && color == Color::kGreen) || (shape == Shape::kCylinder && color == Color::kYellow) ||
         (shape == Shape::kCylinder && color == Color::kPurple) || (shape == Shape::kBall && color == Color::kBlue) ||
         (shape == Shape::kBar && color == Color::kOrange);
}

std::string SceneXml(const Scene& scene) {
  if (scene.objects.size() > kMaxObjects) {
    Fail("scene: {} objects; expected at most {}", scene.objects.size(), kMaxObjects);
  }
  if (scene.zones.size() > kMaxZones) Fail("scene: {} zones; expected at most {}", scene.zones.size(), kMaxZones);
  constexpr double kElevation = 55 * kPi / 180, kDistance = 1.30, kLookZ = 0.088;
  constexpr double kHalfView = 0.180;  // metres seen to each side at the point looked at
  const double sin = std::sin(kElevation), cos = std::cos(kElevation);
  const double finger_z = kFinger[2] - kFingerBelow, palm_z = finger_z + kFinger[2] + 0.009;
  std::string xml =
      fmt::format(fmt::runtime(kWorld), fmt::arg("travel", kFingerTravel), fmt::arg("camera_y", -kDistance * cos),
                  fmt::arg("camera_z", kLookZ + kDistance * sin), fmt::arg("sin", sin), fmt::arg("cos", cos),
                  fmt::arg("fovy", 2 * std::atan2(kHalfView, kDistance) * 180 / kPi), fmt::arg("palm_z", palm_z),
                  fmt::arg("wrist_z", palm_z + 0.018), fmt::arg("thick", kFinger[0]), fmt::arg("finger_z", finger_z),
                  fmt::arg("finger", fmt::format("{} {} {}", kFinger[0], kFinger[1], kFinger[2])));
  for (size_t i = 0; i < scene.zones.size(); ++i) {
    const SceneZone& zone = scene.zones[i];
    CheckWithin(zone.Name(), zone.x, zone.y);
    xml += ZoneXml(i, zone);
  }
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    CheckWithin(scene.objects[i].Name(), scene.objects[i].x, scene.objects[i].y);
    xml += ObjectXml(i, scene.objects[i]);
  }
  return xml += kActuators;
}

}  // namespace kinetok::sim
