// A control loop that asks the model for its next tokens once a period:   example_control_loop models/writer
//
// Every cycle gives the model seven tokens of what was seen and takes seven tokens back (a robot's action is seven
// tokens), and says when it was late. Memory is bounded and the answer depends on the prompt alone, not on the load.
#include <chrono>
#include <iostream>
#include <thread>

#include "kinetok/kinetok.h"

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " MODEL_DIR\n";
    return 2;
  }
  using Clock = std::chrono::steady_clock;
  constexpr auto kPeriod = std::chrono::milliseconds(100);  // 10 Hz
  kinetok::Context context;
  const auto model = kinetok::Model::Load(context, argv[1]);
  kinetok::Engine engine(context, model);
  std::vector<int32_t> observation = {1, 2, 3, 4, 5, 6, 7};
  auto deadline = Clock::now() + kPeriod;
  for (int cycle = 0; cycle < 10; ++cycle, deadline += kPeriod) {
    engine.Add(observation, {.sampler = {.greedy = true}, .max_new_tokens = 7, .ignore_eos = true});
    std::vector<int32_t> action;
    while (!engine.idle()) {
      for (const kinetok::NewToken& t : engine.Step()) action.push_back(t.token);
    }
    const auto left = std::chrono::duration<double, std::milli>(deadline - Clock::now()).count();
    std::cout << "cycle " << cycle << (left < 0 ? "  LATE by " : "  spare ") << std::abs(left) << " ms\n";
    observation = action;  // a robot would act here, and look again
    std::this_thread::sleep_until(deadline);
  }
} catch (const kinetok::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
