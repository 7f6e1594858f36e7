#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "cli/sim.h"
#include "kinetok/base/random.h"

namespace kinetok::cli {

void SceneFlags::Add(CLI::App* command, const std::string& about_seed) {
  AddSeed(command, seed, "Which scenes: scene i is a function of the seed and i" + about_seed);
  command->add_option("--tasks", tasks, "Which tasks, in turn; one that is named twice comes twice as often")
      ->capture_default_str();
  command
      ->add_option("--combinations", combinations,
                   "Colours and shapes of the objects that are asked for: seen, unseen (held out of training) or all")
      ->capture_default_str();
  command
      ->add_option(
          "--partial-names", partial_names,
          "The share of instructions that say \"the cube\" or \"the red object\", where that is clear, for \"the "
          "red cube\"")
      ->capture_default_str();
  command->add_option("--image-size", image_size, "Pixels of the side of a picture that a model sees")
      ->capture_default_str();
}

sim::LayoutOptions SceneFlags::Layout() const {
  sim::LayoutOptions layout;
  CheckFlags([&] { layout.tasks = sim::ParseTasks(tasks); });
  CheckFlags([&] { layout.combinations = sim::ParseCombinations(combinations); });
  layout.partial_names = partial_names;
  CheckFlags([&] { layout.Check(); });
  return layout;
}

void DriverFlags::Add(CLI::App* command) {
  options.sampler.greedy = false;  // until no other way of drawing is asked for
  command->add_option("--model", model, "A policy's directory, in OpenVLA's layout");
  command->add_option("--unnorm-key", options.unnorm_key,
                      "The data set whose statistics turn tokens into motion; needed when the model has several");
  drawing.Add(command, options.sampler);
}

void DriverFlags::Check() {
  CheckFlags([&] { drawing.Read(options.sampler); });
  options.sampler.greedy = options.sampler.greedy || !drawing.given();
  CheckFlags([&] { options.sampler.Check(); });
}

sim::Controller PolicyController(Policy& policy, const ActOptions& options, int64_t episode) {
  return [&policy, options, episode, step = uint64_t{0}](const Image& image, std::string_view instruction,
                                                         const sim::WorldState&) mutable {
    ActOptions act = options;
    const Philox4 bits = RandomBits(options.sampler.seed, RandomStream::kNoise, static_cast<uint32_t>(episode), step++);
    act.sampler.seed = (uint64_t{bits[0]} << 32) | bits[1];
    const Action action = policy.Act(image.view(), instruction, act);
    sim::ActionVector values{};
    if (action.values.size() != values.size()) {
      Fail("the model's actions have {} numbers; the simulator takes {}", action.values.size(), values.size());
    }
    std::copy(action.values.begin(), action.values.end(), values.begin());
    return values;
  };
}

std::string AnswerQuestion(Policy& policy, const Image& image, const sim::Question& question,
                           const std::function<bool()>& cancelled) {
  constexpr int64_t kLongestAnswer = 12;  // tokens
  const GenerateOptions options{
      .sampler = {.greedy = true}, .max_new_tokens = kLongestAnswer, .stop = {"\n"}, .cancelled = cancelled};
  return policy.Answer(image.view(), QuestionPrompt(question), options).text;
}

std::unique_ptr<ProgressBar> EpisodeBar(const std::string& label, int64_t episodes, const std::string& unit,
                                        double units_per_step) {
  return std::make_unique<ProgressBar>(std::cerr, ProgressBar::Options{.label = label,
                                                                       .total = episodes,
                                                                       .unit = unit,
                                                                       .units_per_step = units_per_step,
                                                                       .interactive = IsTerminal(STDERR_FILENO),
                                                                       .plain_seconds = 30,
                                                                       .columns = TerminalColumns(STDERR_FILENO)});
}

OrderedJson IntervalJson(int64_t successes, int64_t trials) {
  const Proportion p = MakeProportion(successes, trials);
  return {p.low, p.high};
}

double Share(int64_t successes, int64_t trials) {
  return MakeProportion(successes, trials).value;
}

std::string ShareText(int64_t successes, int64_t trials) {
  const Proportion p = MakeProportion(successes, trials);
  return fmt::format("{:.1f}% ({:.1f} to {:.1f})", 100 * p.value, 100 * p.low, 100 * p.high);
}

void NoteFaults(int64_t faults, std::string_view of_what) {
  if (faults > 0) Note(fmt::format("note: the physics failed in {} {}\n", faults, of_what));
}

}  // namespace kinetok::cli
