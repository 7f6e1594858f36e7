// The camera's picture of a simulator, drawn off screen by OSMesa on the CPU: no display and no graphics card needed.
//
// A spot marks the point below the gripper, on whatever is there, at the end of a thin line: how high the gripper is
// and what it is above can be read from one picture.
#pragma once

#include <cstdint>
#include <memory>

#include "kinetok/io/image.h"
#include "sim/simulator.h"

namespace kinetok::sim {

inline constexpr int64_t kMinRenderSize = 16, kMaxRenderSize = 1024;

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
  int64_t size() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kinetok::sim
