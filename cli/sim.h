// What the commands of `kinetok sim` share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cli/cli.h"

#ifdef KINETOK_WITH_SIM
#include "cli/progress.h"
#include "cli/sampling_flags.h"
#include "kinetok/base/summary.h"
#include "kinetok/vla/policy.h"
#include "sim/evaluation.h"
#endif

namespace kinetok::cli {

// Each in the file of its name.
void AddSimAsk(CLI::App& group, Common& common);
void AddSimRecord(CLI::App& group, Common& common);
void AddSimRun(CLI::App& group, Common& common);
void AddSimView(CLI::App& group, Common& common);

#ifdef KINETOK_WITH_SIM

// --seed, --tasks, --combinations, --image-size: which scenes, and how large their pictures are.
struct SceneFlags {
  uint64_t seed = 0;
  std::string tasks = "reach,push,pick,pick_bar,place", combinations = "seen";
  int64_t image_size = sim::kImageSize;
  double partial_names = 0;

  void Add(CLI::App* command, const std::string& about_seed = {});  // which ends the help of --seed
  sim::LayoutOptions Layout() const;                                // UsageError naming the flag
};

// --model, --unnorm-key and how its tokens are drawn.
struct DriverFlags {
  std::string model;
  ActOptions options;
  DrawingFlags drawing;

  void Add(CLI::App* command);
  void Check();  // UsageError naming the flag
};

// A policy as the simulator's controller; tokens are drawn anew in each step. `policy` must outlive it.
sim::Controller PolicyController(Policy& policy, const ActOptions& options, int64_t episode);

// What the model says to QuestionPrompt: greedy, a few words.
std::string AnswerQuestion(Policy& policy, const Image& image, const sim::Question& question,
                           const std::function<bool()>& cancelled = {});

// A progress line for so many episodes on stderr.
std::unique_ptr<ProgressBar> EpisodeBar(const std::string& label, int64_t episodes, const std::string& unit,
                                        double units_per_step = 1);

// {low, high}, and "71.5% (64.9 to 77.3)".
OrderedJson IntervalJson(int64_t successes, int64_t trials);
std::string ShareText(int64_t successes, int64_t trials);
double Share(int64_t successes, int64_t trials);  // 0 of no trials

// Tells on stderr how many episodes or scenes ended by a fault of the physics; nothing when none did.
void NoteFaults(int64_t faults, std::string_view of_what);

#endif

}  // namespace kinetok::cli
