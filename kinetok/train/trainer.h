// The training loop. The same configuration and data give the same weights, bit for bit, on any number of threads, with
// any split of a step into passes, and however often the run was killed and resumed.
//
//   RunDirectory directory("out", /*restart=*/false);
//   auto text = std::make_shared<TextExamples>(SplitTokens(file, 0.1), 64);
//   Trainer trainer(context, directory, {.model = Preset("tiny"), .train = {.block_size = 64}, .data = {text}});
//   TrainingResult result = trainer.Run(observer);
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/model/config.h"
#include "kinetok/model/lora.h"
#include "kinetok/model/parameters.h"
#include "kinetok/model/training_pass.h"
#include "kinetok/tensor/buffer.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/train/mixture.h"
#include "kinetok/train/optimizer.h"
#include "kinetok/train/run_directory.h"
#include "kinetok/train/train_config.h"
#include "kinetok/vla/action_tokenizer.h"

namespace kinetok {

struct TrainingJob {
  ModelConfig model;
  TrainConfig train;
  std::vector<DataShare> data;  // one or more; when none holds anything out, nothing is evaluated
  std::shared_ptr<const Tokenizer> tokenizer = nullptr;  // saved with the model; may be null
  std::filesystem::path base = {};  // the model of the same configuration that the run begins with; empty: random
  std::optional<LoraOptions> lora = std::nullopt;  // trained instead of the weights; the run's folder is an adapter
  std::optional<ActionTokenizer> actions = std::nullopt;  // of a policy: its evaluations look at the action tokens
  std::vector<bool> varying_actions = {};                 // of each dimension, as ActionScore takes it
  std::map<std::string, std::string> files = {};          // more that belongs to the model: name and content
  OrderedJson notes = OrderedJson::object();     // saved in train_config.json beside the rest; a resumed run may differ
  OrderedJson settings = OrderedJson::object();  // saved there too; a resumed run may not
};

// What a run needs and will do, known before its first step. Sizes in bytes.
struct RunPlan {
  int64_t parameters = 0, trained = 0;  // all, and those that change
  int64_t weight_bytes = 0, gradient_bytes = 0, optimizer_bytes = 0, activation_bytes = 0;
  int64_t total_bytes() const { return weight_bytes + gradient_bytes + optimizer_bytes + activation_bytes; }
  int64_t examples_per_step = 0;
  int64_t tokens_per_step = 0;            // positions, where every example is as long as the longest
  int64_t first_step = 0, max_steps = 0;  // first_step > 0: a resumed run
};

struct StepEvent {
  int64_t step = 0;  // finished steps: 1 after the first
  double loss = 0;   // nats, the mean over the step's tokens before its update
  double learning_rate = 0;
  double grad_norm = 0;  // before clipping
  double tokens_per_s = 0;
};

// What the held-out examples say about a model.
struct EvaluationResult {
  double loss = 0;  // nats, the mean over all labelled positions
  // Of the positions whose label is an action token, by the likeliest token there (ActionScore); absent without any.
  // The second leaves out the dimensions that are constant, and is absent when all are.
  std::optional<double> action_token_accuracy = std::nullopt, varying_token_accuracy = std::nullopt,
                        action_l1 = std::nullopt;
  bool operator==(const EvaluationResult&) const = default;
};

// Told what happens, as it happens, on the thread that trains.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void OnStep(const StepEvent&) {}
  virtual void OnEvaluation(int64_t /*step*/, const EvaluationResult&) {}
  virtual void OnCheckpoint(int64_t /*step*/) {}
  // Text written by the model with these weights, every sample_every steps; it goes to the log. A checkpoint that is
  // due at the same step is written before; a resumed run makes the sample that its last checkpoint lacks.
  virtual std::string Sample(int64_t /*step*/, std::span<const float> /*weights*/) { return {}; }
};

struct TrainingResult {
  int64_t steps = 0;  // finished, earlier parts of the run included
  double train_loss = 0;
  std::optional<EvaluationResult> evaluation;  // absent without held-out examples, or when interrupted
  double tokens_per_s = 0;                     // of the steps of this call, evaluations and checkpoints not counted
  bool interrupted = false;
};

class Trainer {
 public:
  // Checks the data, reads the saved state when `directory` has one, plans the memory and takes it, and writes nothing.
  // Throws Error when a field or the data does not fit, when the run in the directory was made otherwise, and when
  // memory is short.
  Trainer(Context& context, RunDirectory& directory, TrainingJob job);

  const RunPlan& plan() const { return plan_; }
  std::span<const float> weights() const { return weights_.As<float>(); }  // an adapter's effect included

  // Trains up to max_steps. When `stop` becomes true, saves after the step at hand and returns. Throws Error when the
  // loss, the gradient or a weight stops being finite (what was saved last is kept), and when a file cannot be written.
  TrainingResult Run(TrainingObserver& observer, const std::atomic<bool>* stop = nullptr);

  // Over the held-out examples of every source, or, with eval_batches, over so many that lie evenly among them.
  EvaluationResult Evaluate();

 private:
  struct StepResult {
    double loss, norm;
    int64_t tokens;
  };
  StepResult TrainStep(double learning_rate);
  void EvaluateAndLog(RunLog& log, TrainingObserver& observer);
  void Save(RunLog& log, TrainingObserver& observer);
  void SampleIfDue(RunLog& log, TrainingObserver& observer);
  void Publish() const;
  [[noreturn]] void FailNotFinite(std::string_view what, double value) const;
  TrainerState State();
  std::span<float> trained() { return lora_ ? adapter_.As<float>() : weights_.As<float>(); }
  std::span<float> TrainedGradients();  // from those of all weights
  void Merge();                         // the adapter into the weights

  Context& context_;
  RunDirectory& directory_;
  TrainingJob job_;
  Mixture data_;
  OrderedJson config_;  // train_config.json
  ParameterList list_;
  std::optional<LoraList> lora_;
  Optimizer optimizer_;
  Buffer weights_, gradients_;
  Buffer base_, adapter_, adapter_gradients_;  // with LoRA: the weights as they were, and what is learned
  std::unique_ptr<TrainingPass> pass_, evaluation_;
  RunPlan plan_;
  int64_t step_ = 0;                           // finished
  double loss_ = 0;                            // of the last step
  std::optional<int64_t> saved_step_;          // of the state on the disk
  std::optional<EvaluationResult> evaluated_;  // of the weights after step_
};

}  // namespace kinetok
