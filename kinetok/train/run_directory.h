// The folder of a training run:
//
//   config.json, model.safetensors, tokenizer.json, generation_config.json    the latest weights, for anybody
//   train_config.json              what decides the run's bits; a resumed run must agree with it
//   trainer_state.safetensors      weights, moments and step, in one file: never of two steps
//   log.jsonl, loss.png, loss.svg  what happened
//   lock                           held while a process trains here
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/base/json.h"

namespace kinetok {

// Nothing of a run that is there changes before Begin, so whatever fails until then leaves it as it was.
class RunDirectory {
 public:
  // Creates the folder, takes its lock, and removes what a killed process left half written. With `restart` the run
  // that is there counts for nothing. Throws Error when another process trains here, when the folder cannot be written,
  // or when it holds a model that is no run.
  RunDirectory(std::filesystem::path path, bool restart);

  const std::filesystem::path& path() const { return path_; }
  // Whether a run began here: its train_config.json exists.
  bool holds_run() const;
  // The step of the saved state; empty when there is none, or when the run starts over.
  std::optional<int64_t> SavedStep() const;
  // The train_config.json that goes with the saved state; null without one.
  Json SavedConfig() const;
  // Throws Error naming the first field (as outer.inner) that differs from SavedConfig(), unless it is one of
  // `free_fields`. Of `later_fields`, at any depth, only those are compared that the saved configuration has: older
  // programs did not write them.
  void CheckConfig(const OrderedJson& config, std::span<const std::string> free_fields,
                   std::span<const std::string> later_fields = {}) const;

  // Where to write the file `name` while another of that name may still be needed; Begin gives it its name.
  std::filesystem::path Stage(const std::string& name);
  // The run begins: a run that starts over loses what the previous one left, staged files take their names, and
  // train_config.json is written.
  void Begin(const OrderedJson& config);

 private:
  std::filesystem::path path_;
  std::optional<FileLock> lock_;
  bool restart_;
  std::vector<std::string> staged_;
};

// The trainer's state after `step` optimizer steps. Flat arrays of equal size.
struct TrainerState {
  int64_t step = 0;
  double loss = 0;  // of that step
  std::span<float> weights, m, v;
};
// Whole or not at all: the file holds the old state until the new one is on the disk.
void SaveTrainerState(const std::filesystem::path& dir, const TrainerState& state);
// Fills the arrays, which have their sizes, and the numbers. Throws Error naming the file when a tensor's size is not
// the array's.
void LoadTrainerState(const std::filesystem::path& dir, TrainerState& state);

// log.jsonl: one object a line, each with "step".
class RunLog {
 public:
  // Keeps the whole lines whose step is at most `last_step` and cuts the rest off: what a killed run logged after its
  // last checkpoint happens again. A line that is no such object ends the log: a power cut may leave anything behind
  // what was synced. `last_step` < 0 starts an empty log.
  RunLog(std::filesystem::path path, int64_t last_step);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  void Append(const OrderedJson& line);
  void Sync();                                          // to the disk
  int64_t last_sample() const { return last_sample_; }  // the step of the last line with "sample"; -1 without one

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  int64_t last_sample_ = -1;
};

// What a log says about the losses, in the order of its lines.
struct LossCurve {
  std::vector<double> steps, losses;                        // of lines with "loss"
  std::vector<double> validation_steps, validation_losses;  // of lines with "val_loss"
};
LossCurve ReadLossCurve(const std::filesystem::path& log);

}  // namespace kinetok
