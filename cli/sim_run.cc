// kinetok sim run: a policy in the loop, scored.

#include <fmt/format.h>

#include <optional>

#include "cli/sim.h"
#include "cli/table.h"
#include "sim/strip.h"

namespace kinetok::cli {
namespace {

struct Flags {
  SceneFlags scenes;
  DriverFlags driver;
  sim::EvaluationOptions options;
  bool expert = false, narrate = false;
  std::filesystem::path png, gif;
};

OrderedJson ToJson(const sim::Evaluation& e) {
  OrderedJson by_task = OrderedJson::object();
  for (const sim::TaskScore& task : e.by_task) {
    by_task[std::string(Name(task.kind))] = {
        {"episodes", task.episodes},
        {"successes", task.successes},
        {"success_rate", Share(task.successes, task.episodes)},
        {"success_interval_95", IntervalJson(task.successes, task.episodes)},
        {"mean_steps", task.episodes > 0 ? static_cast<double>(task.steps) / static_cast<double>(task.episodes) : 0}};
  }
  return {{"episodes", e.episodes},
          {"success_rate", Share(e.successes, e.episodes)},
          {"success_interval_95", IntervalJson(e.successes, e.episodes)},
          {"by_task", by_task},
          {"steps", e.steps},
          {"physics_faults", e.faults},
          {"jerk_m_per_s3", e.jerk},
          {"action_ms",
           {{"p50", 1e3 * Percentile(e.seconds, 0.5)},
            {"p99", 1e3 * Percentile(e.seconds, 0.99)},
            {"max", 1e3 * Percentile(e.seconds, 1)}}},
          {"actions_fingerprint", e.actions_fingerprint}};
}

std::string ToTable(const sim::Evaluation& e) {
  Table table({"task", "episodes", "success (95% interval)", "steps"});
  const auto add = [&](std::string_view name, int64_t episodes, int64_t successes, int64_t steps) {
    table.Add({std::string(name), fmt::format("{}", episodes), ShareText(successes, episodes),
               fmt::format("{:.1f}", episodes > 0 ? static_cast<double>(steps) / static_cast<double>(episodes) : 0)});
  };
  for (const sim::TaskScore& task : e.by_task) add(Name(task.kind), task.episodes, task.successes, task.steps);
  add("all", e.episodes, e.successes, e.steps);
  return table.Text() + fmt::format(
                            "jerk {:.2f} m/s^3 (root mean square of what was commanded)\n"
                            "an action took {:.2f} ms (median), {:.2f} ms (99%), {:.2f} ms (longest)\n",
                            e.jerk, 1e3 * Percentile(e.seconds, 0.5), 1e3 * Percentile(e.seconds, 0.99),
                            1e3 * Percentile(e.seconds, 1));
}

std::string EpisodeName(const sim::EvaluatedEpisode& episode) {
  return fmt::format("episode_{:04}_{}_{}", episode.index, Name(episode.situation.task.kind),
                     episode.result.success ? "success" : "failure");
}

void WritePictures(const sim::EvaluatedEpisode& episode, const Flags& flags) {
  const std::string name = EpisodeName(episode);
  if (!flags.png.empty()) {
    sim::WriteStrip(
        flags.png / (name + ".png"), episode.frames, episode.instruction,
        fmt::format("{} after {} steps", episode.result.success ? "success" : "failure", episode.result.steps));
  }
  if (!flags.gif.empty()) sim::WriteGif(flags.gif / (name + ".gif"), episode.frames);
}

// What happened, where the strip is, and what the policy says about the scene that it leaves.
void Narrate(const sim::EvaluatedEpisode& episode, const sim::Simulator& simulator, const Image& image, Policy& policy,
             const Flags& flags) {
  const sim::EpisodeResult& r = episode.result;
  Print(fmt::format("\"{}\": {} after {} steps, {:.0f} actions/s\n", episode.instruction,
                    r.success ? "success" : "failure", r.steps, 1 / Percentile(r.seconds, 0.5)));
  if (!flags.png.empty()) Print(fmt::format("  {}\n", (flags.png / (EpisodeName(episode) + ".png")).string()));
  sim::Draws draws(flags.options.seed, RandomStream::kNoise, static_cast<uint64_t>(episode.index));
  if (const auto question = sim::DrawQuestion(simulator, flags.options.layout.combinations, draws)) {
    const std::string answer = AnswerQuestion(policy, image, *question);
    Print(fmt::format("  {}{} ({})\n", question->text, answer,
                      IsAnswer(*question, answer) ? "right" : "it is " + question->answer));
  }
}

int Run(const Common& common, Flags& flags) {
  sim::EvaluationOptions& o = flags.options;
  o.layout = flags.scenes.Layout();
  o.seed = flags.scenes.seed;
  o.image_size = flags.scenes.image_size;
  flags.driver.Check();
  if (flags.expert == !flags.driver.model.empty()) {
    throw UsageError(
        flags.expert ? "--expert and --model exclude each other"
                     : "no model: give one with --model DIR, or --expert; models/writer and models/robot are bundled");
  }
  CheckFlags([&] { o.Check(); });
  if (flags.narrate && (flags.expert || common.json)) {
    throw UsageError("--narrate is what a --model says, for people: leave out --expert and --json");
  }
  if (flags.expert && (o.blank_image || o.shuffle_instructions || flags.driver.drawing.given())) {
    throw UsageError(
        "--blank-image, --shuffle-instructions and ways of drawing are a --model's: the expert neither looks nor "
        "draws");
  }
  for (const auto& dir : {flags.png, flags.gif}) {
    if (!dir.empty()) std::filesystem::create_directories(dir);
  }
  std::optional<Policy> policy;
  if (!flags.expert) {
    CheckUnnormKey(flags.driver.model, common, flags.driver.options.unnorm_key);
    policy.emplace(flags.driver.model, ContextOptions{.threads = common.threads, .isa = common.isa}, common.Loading());
    flags.driver.options.sampler.seed = o.seed;
  }
  o.images = !flags.expert;
  o.frames = !flags.png.empty() || !flags.gif.empty();
  const std::atomic<bool>& interrupted = CatchInterrupt();
  o.cancelled = [&] { return interrupted.load(); };
  const auto bar = EpisodeBar("running", o.episodes, "episodes");
  int64_t successes = 0;
  o.on_episode = [&](const sim::EvaluatedEpisode& episode) {
    successes += static_cast<int64_t>(episode.result.success);
    bar->Update(episode.index + 1, ShareText(successes, episode.index + 1));
    if (!episode.result.fault.empty()) {
      bar->Clear();
      Note(fmt::format("note: episode {} has failed: {}\n", episode.index, episode.result.fault));
    }
    if (o.frames) WritePictures(episode, flags);
  };
  if (flags.narrate) {
    o.on_end = [&](const sim::EvaluatedEpisode& episode, const sim::Simulator& simulator, const Image& image) {
      bar->Clear();
      Narrate(episode, simulator, image, *policy, flags);
    };
  }
  const sim::Evaluation evaluation = sim::Evaluate(
      [&](const sim::Situation& situation, int64_t episode) {
        return policy ? PolicyController(*policy, flags.driver.options, episode)
                      : sim::ExpertController(situation.scene, situation.task);
      },
      o);
  bar->Clear();
  if (common.json) {
    PrintJson(ToJson(evaluation));
  } else {
    Print(ToTable(evaluation));
  }
  return evaluation.cancelled ? kInterrupted : 0;
}

}  // namespace

void AddSimRun(CLI::App& group, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(group, common,
                                 {"run", "Run a policy in the simulator and count what succeeds",
                                  "kinetok sim run --model models/robot --episodes 100 --tasks pick,place"},
                                 [flags, &common] { return Run(common, *flags); });
  sim::EvaluationOptions& o = flags->options;
  flags->driver.Add(command);
  AddAdapter(command, common);
  command->add_flag("--expert", flags->expert, "The scripted expert instead of a model: how much can be reached");
  command->add_option("--episodes", o.episodes, "How many")->capture_default_str();
  flags->scenes.Add(command);
  command
      ->add_option("--max-steps", o.max_steps,
                   fmt::format("After so many, 1 to {}, an episode has failed", sim::kMaxSteps))
      ->capture_default_str();
  command->add_option("--png", flags->png, "Each episode as a strip of pictures, into this folder");
  command->add_option("--gif", flags->gif, "Each episode as an animation, into this folder");
  command->add_flag("--narrate", flags->narrate,
                    "Tell of each episode how it ended, and what the policy answers about the scene that it leaves");
  command->add_flag("--blank-image", o.blank_image, "Control: the policy sees grey instead of the scene");
  command->add_flag("--shuffle-instructions", o.shuffle_instructions,
                    "Control: the policy is told another episode's instruction");
}

}  // namespace kinetok::cli
