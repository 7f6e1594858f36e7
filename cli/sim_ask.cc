// kinetok sim ask: how well a model answers questions about what it sees.

#include <fmt/format.h>

#include "cli/sim.h"
#include "cli/table.h"

namespace kinetok::cli {
namespace {

struct Flags {
  SceneFlags scenes;
  std::string model;
  sim::AskOptions options;
};

OrderedJson ToJson(const sim::AskReport& report) {
  OrderedJson by_kind = OrderedJson::object();
  for (const sim::KindScore& kind : report.by_kind) {
    by_kind[std::string(Name(kind.kind))] = {{"questions", kind.questions},
                                             {"accuracy", Share(kind.right, kind.questions)},
                                             {"accuracy_interval_95", IntervalJson(kind.right, kind.questions)},
                                             {"chance", kind.chance}};
  }
  return {{"questions", report.questions},
          {"accuracy", Share(report.right, report.questions)},
          {"accuracy_interval_95", IntervalJson(report.right, report.questions)},
          {"chance", report.chance},
          {"physics_faults", report.faults},
          {"by_kind", by_kind}};
}

std::string ToTable(const sim::AskReport& report) {
  Table table({"kind", "questions", "right (95% interval)", "chance"});
  for (const sim::KindScore& kind : report.by_kind) {
    table.Add({std::string(Name(kind.kind)), fmt::format("{}", kind.questions), ShareText(kind.right, kind.questions),
               fmt::format("{:.1f}%", 100 * kind.chance)});
  }
  table.Add({"all", fmt::format("{}", report.questions), ShareText(report.right, report.questions),
             fmt::format("{:.1f}%", 100 * report.chance)});
  return table.Text();
}

int Ask(const Common& common, Flags& flags) {
  RequireModel(flags.model);
  sim::AskOptions& o = flags.options;
  o.layout = flags.scenes.Layout();
  o.seed = flags.scenes.seed;
  o.image_size = flags.scenes.image_size;
  CheckFlags([&] { o.Check(); });
  Policy policy(flags.model, {.threads = common.threads, .isa = common.isa}, common.Loading());
  const std::atomic<bool>& interrupted = CatchInterrupt();
  o.cancelled = [&] { return interrupted.load(); };
  const auto bar = EpisodeBar("asking", o.episodes, "scenes");
  o.on_episode = [&](int64_t episodes) { bar->Update(episodes); };
  const sim::AskReport report =
      sim::Ask([&](const Image& image,
                   const sim::Question& question) { return AnswerQuestion(policy, image, question, o.cancelled); },
               o);
  bar->Clear();
  NoteFaults(report.faults, "scenes, which are left out");
  if (common.json) {
    PrintJson(ToJson(report));
  } else {
    Print(ToTable(report));
  }
  return report.cancelled ? kInterrupted : 0;
}

}  // namespace

void AddSimAsk(CLI::App& group, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(group, common,
                                 {"ask", "Ask a model about scenes and count the right answers",
                                  "kinetok sim ask --model models/robot --episodes 200"},
                                 [flags, &common] { return Ask(common, *flags); });
  sim::AskOptions& o = flags->options;
  command->add_option("--model", flags->model, "A policy's directory, in OpenVLA's layout");
  AddAdapter(command, common);
  command->add_option("--episodes", o.episodes, "How many scenes")->capture_default_str();
  command->add_option("--questions-per-episode", o.questions_per_episode, "At most so many about a scene")
      ->capture_default_str();
  flags->scenes.Add(command);
  command->add_flag("--blank-image", o.blank_image, "Control: the model sees grey instead of the scene");
}

}  // namespace kinetok::cli
