// Everything that decides a run besides its model and its data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/json.h"
#include "kinetok/train/optimizer.h"
#include "kinetok/train/schedule.h"

namespace kinetok {

struct TrainConfig {
  int64_t batch_size = 12;            // sequences of one pass
  int64_t block_size = 64;            // tokens of a sequence
  int64_t gradient_accumulation = 1;  // passes of one optimizer step
  int64_t max_steps = 2000;

  std::string schedule = "cosine";
  double learning_rate = 1e-3, min_learning_rate = 1e-4;
  int64_t warmup_steps = 100;
  double decay_fraction = 0.2;  // of the schedule "wsd"
  OptimizerOptions optimizer;

  uint64_t seed = 0;
  bool recompute = false;    // activations again in the backward pass, for memory
  int64_t save_every = 500;  // steps between checkpoints; 0: only at the end
  int64_t eval_every = 250;  // steps between evaluations; 0: only at the end
  int64_t eval_batches = 0;  // of batch_size held-out examples that lie evenly among all; 0: all of them
  int64_t sample_every = 0;  // steps between samples; 0: none
  int64_t log_every = 10;    // steps between lines of log.jsonl

  // Throws Error "batch_size is 0; ..." for the first field out of range.
  void Check() const;
  Schedule MakeSchedule() const;
  int64_t SequencesPerStep() const { return batch_size * gradient_accumulation; }
  int64_t TokensPerStep() const { return SequencesPerStep() * block_size; }
};

// Calls fn(name, field, help) for every field of `config`, the name as the flag of `kinetok train` is spelled.
template <class Config, class F>
void VisitTrainConfig(Config& config, F&& fn) {
  fn("batch-size", config.batch_size, "Sequences of one pass");
  fn("block-size", config.block_size, "Tokens of a sequence");
  fn("gradient-accumulation", config.gradient_accumulation, "Passes of one optimizer step");
  fn("max-steps", config.max_steps, "Optimizer steps of the whole run");
  fn("schedule", config.schedule, "Learning rate after the warm-up: constant, linear, cosine or wsd");
  fn("learning-rate", config.learning_rate, "The highest learning rate");
  fn("min-learning-rate", config.min_learning_rate,
     "The learning rate at the end; default: a tenth of a given learning-rate");
  fn("warmup-steps", config.warmup_steps, "Steps in which the learning rate rises from 0");
  fn("decay-fraction", config.decay_fraction,
     "wsd: the share of the run, at its end, in which the learning rate goes down");
  fn("beta1", config.optimizer.beta1, "AdamW: decay of the first moment");
  fn("beta2", config.optimizer.beta2, "AdamW: decay of the second moment");
  fn("adam-eps", config.optimizer.eps, "AdamW: added to the root of the second moment");
  fn("weight-decay", config.optimizer.weight_decay, "AdamW: of matrices, embeddings included");
  fn("grad-clip", config.optimizer.grad_clip, "The largest norm of the gradient; 0: no limit");
  fn("seed", config.seed, "Of the first weights, the order of the data and dropout");
  fn("recompute", config.recompute, "Run layers again in the backward pass, for less memory");
  fn("save-every", config.save_every, "Steps between checkpoints; 0: only at the end");
  fn("eval-every", config.eval_every, "Steps between evaluations; 0: only at the end");
  fn("eval-batches", config.eval_batches, "Evaluate on so many batches, evenly spread; 0: on all that is held out");
  fn("sample-every", config.sample_every, "Steps between samples; 0: none");
  fn("log-every", config.log_every, "Steps between lines of log.jsonl");
}

// The fields that a resumed run may change: they leave the bits of every step as they are, max-steps aside, which the
// schedule reads.
std::span<const std::string> FreeTrainFields();

OrderedJson TrainConfigToJson(const TrainConfig& config);
// Overwrites the fields that `json` has, other keys are left alone. Throws Error naming `source` and the field.
void ReadTrainConfig(const Json& json, std::string_view source, TrainConfig* config);

// The training defaults that go with a model preset (model/presets.h); TrainConfig{} for those without their own.
TrainConfig TrainPreset(std::string_view preset);

}  // namespace kinetok
