// The camera's picture of a simulator, drawn off screen by OSMesa on the CPU: no display and no graphics card needed.
//
// A spot marks the point below the gripper, on whatever is there, at the end of a thin line: how high the gripper is
// and what it is above can be read from one picture.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kinetok/io/image.h"
#include "sim/simulator.h"

namespace kinetok::sim {

inline constexpr int64_t kMinRenderSize = 16, kMaxRenderSize = 1024;
inline constexpr int64_t kImageSize = 64;   // that models see, unless told otherwise: models/robot looks at 64 x 64
inline constexpr int64_t kFrameSize = 192;  // that people see

// Of square pictures of one size. May be used by one thread at a time. The pixels depend on nothing but the state and
// the machine: Mesa compiles its own code for the CPU it runs on, and two CPUs may differ in a last bit.
class Renderer {
 public:
  // Throws Error when the size is not within the limits or OSMesa gives no context.
  explicit Renderer(int64_t size);
  ~Renderer();
  Renderer(Renderer&&) noexcept;
  Renderer& operator=(Renderer&&) noexcept;

  Image Render(const Simulator& simulator);
  // What is seen at each pixel of that picture, row by row: the index of an object, kFirstZone and the index of a zone,
  // or one of the others.
  static constexpr int kTable = -1, kGripper = -2, kSpot = -3, kFirstZone = kMaxObjects;
  std::vector<int> Segment(const Simulator& simulator);
  int64_t size() const;

 private:
  struct State;
  void Draw(const Simulator& simulator);  // into the context's buffer
  std::unique_ptr<State> state_;
};

}  // namespace kinetok::sim
