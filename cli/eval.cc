// kinetok eval: multiple-choice and next-word tasks, with and without solved examples in the prompt; and policies on
// demonstrations.

#include <fmt/format.h>
#include <unistd.h>

#include <initializer_list>
#include <iostream>

#include "cli/accuracy.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "kinetok/train/task.h"
#include "kinetok/vla/open_loop.h"

namespace kinetok::cli {
namespace {

struct Flags {
  CLI::App* command = nullptr;
  std::string model, task, shots_file, data, camera{kDefaultCamera};
  OpenLoopOptions open_loop;
  bool actions = false;
  TaskOptions options;
};

OrderedJson Interval(const Proportion& p) {
  return OrderedJson::array({p.low, p.high});
}

std::string Text(const Proportion& p) {
  return fmt::format("{:.1f}%  (95% interval {:.1f} to {:.1f})", 100 * p.value, 100 * p.low, 100 * p.high);
}

// Flags that mean nothing beside --task or --data.
void RefuseFlags(const Flags& flags, std::initializer_list<const char*> names, const char* mode) {
  for (const char* name : names) {
    if (flags.command->get_option(name)->count() > 0) {
      throw UsageError(fmt::format("{} has no effect with {}; leave one of them out", name, mode));
    }
  }
}

int EvalPolicy(const Common& common, Flags& flags) {
  RefuseFlags(flags, {"--shots", "--shots-file", "--separator", "--limit", "--seed"}, "--data");
  if (flags.open_loop.limit < 0) {
    throw UsageError(fmt::format("--demonstrations is {}; it must be at least 0 (0: all)", flags.open_loop.limit));
  }
  CheckUnnormKey(flags.model, common, flags.open_loop.act.unnorm_key);
  const DemonstrationFile file(flags.data, flags.camera);
  Policy policy(flags.model, {.threads = common.threads, .isa = common.isa}, common.Loading());
  ProgressBar bar(std::cerr, {.label = "acting",
                              .total = 0,
                              .unit = "steps",
                              .interactive = IsTerminal(STDERR_FILENO),
                              .columns = TerminalColumns(STDERR_FILENO),
                              .now = {}});
  flags.open_loop.progress = [&](int64_t done, int64_t total) { bar.Update(done, fmt::format("of {}", total)); };
  const OpenLoopReport report = ScoreOpenLoop(policy, file, flags.open_loop);
  bar.Clear();
  const std::vector<std::string> names = policy.config().Names(file.dimensions()),
                                 units = policy.config().Units(file.dimensions());
  if (common.json) {
    OrderedJson json = {{"data", flags.data},
                        {"demonstrations", report.demonstrations},
                        {"steps", report.steps},
                        {"action_token_accuracy", report.action_token_accuracy},
                        {"action_l1", report.action_l1},
                        {"names", names},
                        {"units", units},
                        {"accuracy_by_dimension", report.accuracy_by_dimension},
                        {"l1_by_dimension", report.l1_by_dimension}};
    if (report.varying_token_accuracy) json["varying_token_accuracy"] = *report.varying_token_accuracy;
    if (flags.actions) json["actions"] = report.actions;
    PrintJson(json);
    return 0;
  }
  Table table({"", "right", "L1", "unit"});
  for (size_t i = 0; i < names.size(); ++i) {
    table.Add({names[i], fmt::format("{:.1f}%", 100 * report.accuracy_by_dimension[i]),
               fmt::format("{:.5f}", report.l1_by_dimension[i]), units[i]});
  }
  Print(table.Text());
  Print(fmt::format("{} steps of {} demonstrations: action tokens {}, L1 {:.4f} normalised\n", report.steps,
                    report.demonstrations, AccuracyWords(report.action_token_accuracy, report.varying_token_accuracy),
                    report.action_l1));
  return 0;
}

int Eval(const Common& common, Flags& flags) {
  RequireModel(flags.model);
  if (flags.data.empty() == flags.task.empty()) {
    throw UsageError("expected one of --task, a file of JSON lines, and --data, a policy's demonstrations in HDF5");
  }
  if (!flags.data.empty()) return EvalPolicy(common, flags);
  RefuseFlags(flags, {"--camera", "--demonstrations", "--unnorm-key", "--actions"}, "--task");
  CheckFlags([&] { flags.options.Check(); });
  const Task task = ReadTask(flags.task);
  std::optional<Task> shots;
  if (!flags.shots_file.empty()) shots = ReadTask(flags.shots_file);
  const auto context = common.MakeContext();
  const auto model = Model::Load(*context, flags.model, common.Loading());
  ProgressBar bar(std::cerr, {.label = "scoring",
                              .total = 0,
                              .unit = "tokens",
                              .interactive = IsTerminal(STDERR_FILENO),
                              .columns = TerminalColumns(STDERR_FILENO),
                              .now = {}});
  flags.options.progress = [&](int64_t done, int64_t total) { bar.Update(done, fmt::format("of {}", total)); };
  TaskReport report;
  try {
    report = RunTask(*context, *model, task, shots ? *shots : task, flags.options);
  } catch (const Error& e) {
    Fail("{}: {}", flags.task, e.what());
  }
  bar.Clear();
  if (common.json) {
    OrderedJson json = {{"task", flags.task},
                        {"format", task.format},
                        {"examples", report.examples},
                        {"shots", flags.options.shots},
                        {"accuracy", report.accuracy.value},
                        {"accuracy_interval_95", Interval(report.accuracy)}};
    if (report.accuracy_norm) {
      json["accuracy_norm"] = report.accuracy_norm->value;
      json["accuracy_norm_interval_95"] = Interval(*report.accuracy_norm);
      json["chance"] = *report.chance;
    }
    if (report.perplexity) json["perplexity"] = *report.perplexity;
    json["tokens"] = report.tokens;
    json["computed_positions"] = report.rows;
    json["truncated"] = report.truncated;
    PrintJson(json);
    return 0;
  }
  std::string out = fmt::format("task           {} ({}), {} examples, {} shots\n", flags.task, task.format,
                                report.examples, flags.options.shots);
  out += fmt::format("accuracy       {}\n", Text(report.accuracy));
  if (report.accuracy_norm) {
    out +=
        fmt::format("accuracy_norm  {}\nchance         {:.1f}%\n", Text(*report.accuracy_norm), 100 * *report.chance);
  }
  if (report.perplexity) out += fmt::format("perplexity     {:.3f} a completion\n", *report.perplexity);
  out += fmt::format("positions      {} computed for {} tokens\n", report.rows, report.tokens);
  if (report.truncated > 0) {
    out += fmt::format("truncated      {} prompts lost their beginning: the context holds {} tokens\n",
                       report.truncated, model->config().max_position_embeddings);
  }
  Print(out);
  return 0;
}

}  // namespace

void AddEval(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, common,
                                 {"eval", "Score a model on multiple-choice and next-word tasks",
                                  "kinetok eval --model models/writer --task questions.jsonl --shots 2"},
                                 [flags, &common] { return Eval(common, *flags); });
  flags->command = command;
  command->add_option("--model", flags->model, "A model's directory: models/writer is bundled");
  AddAdapter(command, common);
  command->add_option("--task", flags->task,
                      "JSON lines in HellaSwag's or LAMBADA's format, {\"prompt\", \"choices\", \"answer\"} or "
                      "{\"prompt\", \"completion\"}");
  command->add_option("--data", flags->data, "Demonstrations in HDF5, which a policy is scored on step by step");
  command->add_option("--camera", flags->camera, "With --data: the images of a demonstration")->capture_default_str();
  command->add_option("--demonstrations", flags->open_loop.limit, "With --data: only the first so many; 0: all")
      ->capture_default_str();
  command->add_option("--unnorm-key", flags->open_loop.act.unnorm_key,
                      "With --data: the data set whose statistics turn tokens into motion");
  command->add_flag("--actions", flags->actions, "With --data and --json: also the tokens of every step");
  TaskOptions& o = flags->options;
  command->add_option("--shots", o.shots, "Solved examples before each question")->capture_default_str();
  command->add_option("--shots-file", flags->shots_file, "Where they come from; default: the task's other examples");
  command->add_option("--separator", o.separator, "What follows a shot; default: an empty line");
  command->add_option("--limit", o.limit, "Only the first so many examples; 0: all")->capture_default_str();
  AddSeed(command, o.seed, "Which examples are shots");
}

}  // namespace kinetok::cli
