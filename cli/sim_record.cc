// kinetok sim record: demonstrations of the expert into an HDF5 file, or a policy's mistakes with the expert's advice.

#include <fmt/format.h>

#include <optional>

#include "cli/sim.h"
#include "cli/table.h"
#include "sim/record.h"

namespace kinetok::cli {
namespace {

struct Flags {
  CLI::App* command = nullptr;
  SceneFlags scenes;
  DriverFlags driver;
  sim::RecordOptions options;
};

OrderedJson ToJson(const sim::RecordSummary& summary, const Flags& flags, double seconds) {
  OrderedJson by_task = OrderedJson::object();
  for (const sim::RecordedTask& task : summary.by_task) {
    by_task[std::string(Name(task.kind))] = {
        {"episodes", task.episodes}, {"successes", task.successes}, {"kept", task.kept}, {"steps", task.steps}};
  }
  return {{"out", flags.options.out.string()},
          {"episodes", summary.episodes},
          {"kept", summary.kept},
          {"failed", summary.episodes - summary.successes},
          {"success_rate", Share(summary.successes, summary.episodes)},
          {"steps", summary.steps},
          {"physics_faults", summary.faults},
          {"questions", summary.questions},
          {"descriptions", summary.descriptions},
          {"by_task", by_task},
          {"seconds", seconds}};
}

std::string ToTable(const sim::RecordSummary& summary, const Flags& flags, double seconds) {
  Table table({"task", "episodes", "successes", "kept", "steps"});
  const auto add = [&](const std::string& name, const sim::RecordedTask& t) {
    table.Add({name, fmt::format("{}", t.episodes), fmt::format("{}", t.successes), fmt::format("{}", t.kept),
               fmt::format("{}", t.steps)});
  };
  for (const sim::RecordedTask& task : summary.by_task) add(std::string(Name(task.kind)), task);
  add("all", {{}, summary.episodes, summary.kept, summary.successes, summary.steps});
  std::string text = table.Text();
  if (summary.kept == 0) return text + "nothing was kept\n";
  text += fmt::format("{}: {} demonstrations, {} pictures, {:.1f} MB, {:.0f} pictures/s\n", flags.options.out.string(),
                      summary.kept, summary.steps, static_cast<double>(file_size(flags.options.out)) / 1e6,
                      static_cast<double>(summary.steps) / seconds);
  if (!flags.options.questions.empty()) {
    text += fmt::format("{}: {} questions\n", flags.options.questions.string(), summary.questions);
  }
  if (!flags.options.descriptions.empty()) {
    text += fmt::format("{}: {} descriptions\n", flags.options.descriptions.string(), summary.descriptions);
  }
  return text;
}

int Record(const Common& common, Flags& flags) {
  sim::RecordOptions& o = flags.options;
  o.layout = flags.scenes.Layout();
  o.seed = flags.scenes.seed;
  o.image_size = flags.scenes.image_size;
  flags.driver.Check();
  if (flags.driver.model.empty() && flags.command->get_option("--policy-share")->count() > 0) {
    throw UsageError("--policy-share needs a policy: give one with --model DIR");
  }
  for (const char* flag : {"--descriptions-per-episode", "--plans-per-episode", "--patch"}) {
    if (o.descriptions.empty() && flags.command->get_option(flag)->count() > 0) {
      throw UsageError(fmt::format("{} needs --descriptions, the file to write", flag));
    }
  }
  if (o.questions.empty() && flags.command->get_option("--questions-per-episode")->count() > 0) {
    throw UsageError("--questions-per-episode needs --questions, the file to write");
  }
  CheckFlags([&] { o.Check(); });
  std::optional<Policy> policy;
  if (!flags.driver.model.empty()) {
    CheckUnnormKey(flags.driver.model, common, flags.driver.options.unnorm_key);
    policy.emplace(flags.driver.model, ContextOptions{.threads = common.threads, .isa = common.isa}, common.Loading());
    flags.driver.options.sampler.seed = o.seed;
    o.policy = PolicyController(*policy, flags.driver.options, 0);
  }
  const std::atomic<bool>& interrupted = CatchInterrupt();
  o.cancelled = [&] { return interrupted.load(); };
  const Stopwatch watch;
  const auto bar = EpisodeBar("recording", o.episodes, "episodes");
  o.on_episode = [&](int64_t episodes, int64_t steps) {
    bar->Update(episodes, fmt::format("{} pictures, {:.0f}/s", steps, static_cast<double>(steps) / watch.Seconds()));
  };
  const sim::RecordSummary summary = sim::Record(o);
  const double seconds = watch.Seconds();
  bar->Clear();
  NoteFaults(summary.faults, "episodes, which are left out");
  if (common.json) {
    PrintJson(ToJson(summary, flags, seconds));
  } else {
    Print(ToTable(summary, flags, seconds));
  }
  return summary.cancelled ? kInterrupted : 0;
}

}  // namespace

void AddSimRecord(CLI::App& group, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(group, common,
                                 {"record", "Demonstrations of a scripted expert, for training",
                                  "kinetok sim record --out demos.hdf5 --episodes 1000"},
                                 [flags, &common] { return Record(common, *flags); });
  flags->command = command;
  sim::RecordOptions& o = flags->options;
  command->add_option("--out", o.out, "The HDF5 file to write, in LIBERO's layout");
  command->add_option("--episodes", o.episodes, "How many are run; those that fail are left out")
      ->capture_default_str();
  flags->scenes.seed = o.seed;
  flags->scenes.Add(command, "; that of run and ask is 0: nobody is tested on what it was trained on");
  command
      ->add_option(
          "--noise", o.noise,
          "The share of steps in which something else is executed than what the expert wants, which is what is "
          "recorded: so there are recoveries; 0: the expert undisturbed")
      ->capture_default_str();
  command->add_option("--max-steps", o.max_steps, fmt::format("The longest episode, 1 to {}", sim::kMaxSteps))
      ->capture_default_str();
  command->add_option("--questions", o.questions, "Also questions about the pictures, into this JSON lines file");
  command->add_option("--questions-per-episode", o.questions_per_episode, "At most so many")->capture_default_str();
  command->add_option("--descriptions", o.descriptions,
                      "Also pictures described, everything and its place, into this JSON lines file");
  command->add_option("--descriptions-per-episode", o.descriptions_per_episode, "At most so many")
      ->capture_default_str();
  command
      ->add_option(
          "--plans-per-episode", o.plans_per_episode,
          "Among the descriptions: where the things are that the instruction is about, and where a push begins")
      ->capture_default_str();
  command
      ->add_option("--patch", o.patch,
                   "Pixels of a patch's side: descriptions also say of each patch what is seen there")
      ->capture_default_str();
  command
      ->add_option(
          "--push-slide", o.push_slide,
          "Metres from where a push begins within which the expert is down already and slides there; 0: it comes "
          "down right there, and rises whenever it is off")
      ->capture_default_str();
  flags->driver.Add(command);
  AddAdapter(command, common);
  o.policy_share = 0.5;
  command
      ->add_option("--policy-share", o.policy_share,
                   "With --model: the share of the time that the policy drives, while the expert says what should "
                   "have been done (DAgger); every episode is kept")
      ->capture_default_str();
}

}  // namespace kinetok::cli
