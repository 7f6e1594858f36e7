// A robot's control loop:   example_control_loop models/robot camera.png "touch the red cube"
//
// Every cycle looks, asks the policy what to do, moves, and says when it was late. The same picture and instruction
// give the same motion, whatever else the machine does.
#include <chrono>
#include <iostream>
#include <thread>

#include "kinetok/kinetok.h"

int main(int argc, char** argv) try {
  if (argc != 4) {
    std::cerr << "usage: " << argv[0] << " MODEL_DIR IMAGE INSTRUCTION\n";
    return 2;
  }
  using Clock = std::chrono::steady_clock;
  constexpr auto kPeriod = std::chrono::milliseconds(200);  // 5 Hz
  kinetok::Policy policy(argv[1]);
  auto deadline = Clock::now() + kPeriod;
  for (int cycle = 0; cycle < 10; ++cycle) {
    const kinetok::Image image = kinetok::ReadImage(argv[2]);  // a robot's camera: any RGB or BGR memory, not copied
    const kinetok::Action action = policy.Act(image.view(), argv[3]);
    const auto left = std::chrono::duration<double, std::milli>(deadline - Clock::now()).count();
    std::cout << (left < 0 ? "LATE by " : "spare ") << std::abs(left) << " ms: ";
    for (size_t i = 0; i < action.values.size(); ++i) std::cout << action.names[i] << " " << action.values[i] << "  ";
    std::cout << std::endl;                               // a robot's arm would move here
    while (deadline < Clock::now()) deadline += kPeriod;  // what was missed is not made up for
    std::this_thread::sleep_until(deadline);
    deadline += kPeriod;
  }
} catch (const kinetok::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
