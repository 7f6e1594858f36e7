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

class RunDirectory {
 public:
  // Creates the folder, takes its lock, and removes what a killed process left half written; with `restart` also the
  // previous run. Throws Error when another process trains here, or when the folder holds a model that is no run.
  RunDirectory(std::filesystem::path path, bool restart);

  const std::filesystem::path& path() const { return path_; }
  // Whether a run began here: its train_config.json exists.
  bool holds_run() const;
  // Writes train_config.json. When a state was saved, throws Error naming the first field that differs from the one
  // that is there, unless it is one of `free_fields`.
  void SetConfig(const OrderedJson& config, std::span<const std::string> free_fields);

  // The step of the saved state; empty when there is none.
  std::optional<int64_t> SavedStep() const;

 private:
  std::filesystem::path path_;
  std::optional<FileLock> lock_;
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
  // last checkpoint happens again. `last_step` < 0 starts an empty log.
  RunLog(std::filesystem::path path, int64_t last_step);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  void Append(const OrderedJson& line);
  void Sync();  // to the disk

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

// What a log says about the losses, in the order of its lines.
struct LossCurve {
  std::vector<double> steps, losses;                        // of lines with "loss"
  std::vector<double> validation_steps, validation_losses;  // of lines with "val_loss"
};
LossCurve ReadLossCurve(const std::filesystem::path& log);

}  // namespace kinetok
