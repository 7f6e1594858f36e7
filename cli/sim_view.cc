// kinetok sim view: one episode as a strip of pictures.

#include <fmt/format.h>

#include <optional>

#include "cli/sim.h"
#include "kinetok/io/demonstrations.h"
#include "kinetok/text/utf8.h"
#include "sim/strip.h"

namespace kinetok::cli {
namespace {

struct Flags {
  SceneFlags scenes;
  DriverFlags driver;
  std::filesystem::path data, out;
  int64_t episode = 0, every = 0, max_steps = sim::kMaxSteps;
  bool expert = false;
};

struct Shown {
  std::string instruction, outcome;
  std::vector<Image> frames;
  OrderedJson json;
};

Shown FromFile(const Flags& flags) {
  const DemonstrationFile file(flags.data);
  const auto& all = file.demonstrations();
  if (flags.episode < 0 || flags.episode >= static_cast<int64_t>(all.size())) {
    throw UsageError(fmt::format("--episode is {}; {} has demonstrations 0 to {}", flags.episode, flags.data.string(),
                                 all.size() - 1));
  }
  const DemonstrationInfo& info = all[static_cast<size_t>(flags.episode)];
  RequireUtf8(info.instruction, fmt::format("{}: data/{}: the instruction", flags.data.string(), info.name));
  Shown shown{.instruction = info.instruction, .outcome = {}, .frames = {}, .json = {}};
  for (int64_t step = 0; step < info.steps; ++step) shown.frames.push_back(file.ReadImage(flags.episode, step));
  const Json episode = file.Attribute(flags.episode, "episode");
  const Json success = episode.is_object() ? episode.value("success", Json()) : Json();
  shown.outcome = fmt::format("{}: {} steps", info.name, info.steps);
  if (success.is_boolean()) shown.outcome += success.get<bool>() ? ", success" : ", failure";
  shown.json = {{"steps", info.steps}, {"success", success.is_boolean() ? OrderedJson(success.get<bool>()) : nullptr}};
  return shown;
}

Shown FromRun(const Common& common, Flags& flags) {
  sim::EvaluationOptions o{.seed = flags.scenes.seed,
                           .layout = flags.scenes.Layout(),
                           .max_steps = flags.max_steps,
                           .image_size = flags.scenes.image_size,
                           .frames = true};
  flags.driver.Check();
  CheckFlags([&] { o.Check(); });
  if (flags.expert && !flags.driver.model.empty()) throw UsageError("--expert and --model exclude each other");
  if (flags.episode < 0) throw UsageError(fmt::format("--episode is {}; expected at least 0", flags.episode));
  std::optional<Policy> policy;
  if (!flags.driver.model.empty()) {
    CheckUnnormKey(flags.driver.model, common, flags.driver.options.unnorm_key);
    policy.emplace(flags.driver.model, ContextOptions{.threads = common.threads, .isa = common.isa}, common.Loading());
    flags.driver.options.sampler.seed = o.seed;
  }
  sim::Renderers renderers(o);
  sim::EvaluatedEpisode episode = sim::EvaluateEpisode(
      flags.episode,
      [&](const sim::Situation& situation, int64_t index) {
        return policy ? PolicyController(*policy, flags.driver.options, index)
                      : sim::ExpertController(situation.scene, situation.task);
      },
      o, renderers);
  const sim::EpisodeResult& result = episode.result;
  if (!result.fault.empty()) Note(fmt::format("note: the episode has failed: {}\n", result.fault));
  return {.instruction = episode.instruction,
          .outcome = fmt::format("{} after {} steps", result.success ? "success" : "failure", result.steps),
          .frames = std::move(episode.frames),
          .json = {{"steps", result.steps}, {"success", result.success}}};
}

int View(const Common& common, Flags& flags) {
  if (flags.out.empty()) throw UsageError("--out is missing: the PNG file to write");
  if (flags.every < 0) throw UsageError(fmt::format("--every is {}; expected at least 0", flags.every));
  if (!flags.data.empty() && (flags.expert || !flags.driver.model.empty())) {
    throw UsageError("--data holds an episode already; leave out --model and --expert, or --data");
  }
  std::error_code other;  // of files that are not there
  if (!flags.data.empty() && std::filesystem::equivalent(flags.out, flags.data, other)) {
    throw UsageError(fmt::format("--out is {}, the file of --data; expected another one", flags.out.string()));
  }
  const Shown shown = flags.data.empty() ? FromRun(common, flags) : FromFile(flags);
  sim::WriteStrip(flags.out, shown.frames, shown.instruction, shown.outcome, {.every = flags.every});
  if (common.json) {
    OrderedJson json = {{"instruction", shown.instruction}};
    json.update(shown.json);
    json["out"] = flags.out.string();
    PrintJson(json);
  } else {
    Print(fmt::format("\"{}\", {}: {}\n", shown.instruction, shown.outcome, flags.out.string()));
  }
  return 0;
}

}  // namespace

void AddSimView(CLI::App& group, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      AddCommand(group, common,
                 {"view", "An episode as a strip of pictures: the expert's, a model's or a recorded one",
                  "kinetok sim view --tasks place --episode 3 --out place.png"},
                 [flags, &common] { return View(common, *flags); });
  command->add_option("--out", flags->out, "The PNG file to write");
  command->add_option("--data", flags->data, "A recorded HDF5 file instead of the simulator");
  command->add_option("--episode", flags->episode, "Which scene, or which demonstration of --data")
      ->capture_default_str();
  command->add_option("--every", flags->every, "Each so many steps a picture; 0: twelve pictures at most")
      ->capture_default_str();
  flags->driver.Add(command);
  AddAdapter(command, common);
  command->add_flag("--expert", flags->expert, "The scripted expert moves the robot; so it does without --model");
  flags->scenes.Add(command);
  command->add_option("--max-steps", flags->max_steps, fmt::format("The longest episode, 1 to {}", sim::kMaxSteps))
      ->capture_default_str();
}

}  // namespace kinetok::cli
