#include "kinetok/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/base/memory.h"
#include "kinetok/io/plot.h"
#include "kinetok/kernels/elementwise.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/train/weights_fingerprint.h"
#include "kinetok/vla/action_score.h"

namespace kinetok {
namespace {

// Examples of one evaluation pass: enough rows for the kernels, whatever the training batch.
int64_t EvaluationExamples(const TrainConfig& config, int64_t max_length) {
  return std::max(config.batch_size, CeilDiv(256, max_length));
}

void CheckJob(const TrainingJob& job) {
  job.train.Check();
  job.model.Check("model");
  const int64_t context = job.model.max_position_embeddings;
  if (job.train.block_size > context) {
    Fail("block_size is {}; it must be at most {}, the model's max_position_embeddings", job.train.block_size, context);
  }
  if (job.tokenizer != nullptr && job.tokenizer->vocab_size() > job.model.vocab_size) {
    Fail("vocab_size is {}; it must be at least {}, the size of the tokenizer", job.model.vocab_size,
         job.tokenizer->vocab_size());
  }
  for (const DataShare& share : job.data) {
    share.source->Check(job.model.vocab_size);
    if (share.source->max_length() > context) {
      Fail("the longest example takes {} positions, the model's context holds {} (max_position_embeddings)",
           share.source->max_length(), context);
    }
    if (share.source->has_images() && job.model.towers.empty()) {
      Fail("the data has images, which a model of type {} does not see; expected one with vision towers (openvla)",
           job.model.model_type);
    }
  }
}

// Examples side by side, as a TrainingBatch.
class BatchBuffers {
 public:
  void Clear() {
    tokens_.clear();
    labels_.clear();
    lengths_.clear();
    keys_.clear();
    pixels_.clear();
  }

  void Add(const Example& example, uint64_t key) {
    tokens_.insert(tokens_.end(), example.tokens.begin(), example.tokens.end());
    labels_.insert(labels_.end(), example.labels.begin(), example.labels.end());
    pixels_.insert(pixels_.end(), example.pixels.begin(), example.pixels.end());
    lengths_.push_back(static_cast<int32_t>(example.tokens.size()));
    keys_.push_back(key);
  }

  TrainingBatch View(float weight) {
    weights_.assign(tokens_.size(), weight);
    losses_.resize(tokens_.size());
    return {.tokens = tokens_,
            .labels = labels_,
            .weights = weights_,
            .lengths = lengths_,
            .sample_keys = keys_,
            .pixels = pixels_};
  }

  std::span<float> losses() { return losses_; }  // one a row, sized by View
  std::span<const int32_t> labels() const { return labels_; }

 private:
  std::vector<int32_t> tokens_, labels_, lengths_;
  std::vector<uint64_t> keys_;
  std::vector<float> weights_, losses_, pixels_;
};

class Clock {
 public:
  double Seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void DrawLosses(const std::filesystem::path& dir) {
  const LossCurve curve = ReadLossCurve(dir / "log.jsonl");
  LineChart chart{.title = "Loss", .x_label = "step", .y_label = "nats per token", .series = {}};
  chart.series.push_back({"training", curve.steps, curve.losses});
  if (!curve.validation_steps.empty()) {
    chart.series.push_back({"validation", curve.validation_steps, curve.validation_losses});
  }
  WriteChartPng(chart, dir / "loss.png");
  WriteChartSvg(chart, dir / "loss.svg");
}

void SetToZero(Context& context, std::span<float> x) {
  ParallelFor(context, static_cast<int64_t>(x.size()), 1 << 18,
              [x](int64_t first, int64_t last, int) { std::fill(x.begin() + first, x.begin() + last, 0.0f); });
}

// Checks first that the run's arrays fit into memory.
Optimizer MakeOptimizer(const ParameterList& list, const std::optional<LoraList>& lora,
                        const OptimizerOptions& options) {
  RequireMemory(lora ? list.elements * 12 + lora->elements * 16 : list.elements * 16, "this training run");
  return lora ? Optimizer(lora->elements, options) : Optimizer(list, options);
}

bool IsDue(int64_t step, int64_t every) {
  return every > 0 && step % every == 0;
}

}  // namespace

Trainer::Trainer(Context& context, RunDirectory& directory, TrainingJob job)
    : context_(context),
      directory_(directory),
      job_((CheckJob(job), std::move(job))),
      data_(job_.data),
      list_(job_.model),
      lora_(job_.lora ? std::make_optional<LoraList>(job_.model, list_, *job_.lora) : std::nullopt),
      optimizer_(MakeOptimizer(list_, lora_, job_.train.optimizer)),
      weights_(list_.elements * 4),
      gradients_(list_.elements * 4) {
  config_ = TrainConfigToJson(job_.train);
  config_["model-config"] = ModelConfigToJson(job_.model, "float32");
  config_["train-data"] = data_.Describe();
  config_["validation-data"] = data_.DescribeHeldOut();
  if (lora_) {
    const LoraOptions& o = lora_->options;
    config_["lora-rank"] = o.rank;
    config_["lora-alpha"] = o.alpha;
    config_["lora-targets"] = o.targets;
    if (job_.base.empty()) Fail("an adapter needs a model that it is for; expected the one to fine-tune");
  }
  std::vector<std::string> free_fields(FreeTrainFields().begin(), FreeTrainFields().end());
  free_fields.emplace_back("validation-data");  // evaluated, never learned from
  for (const auto& [key, value] : job_.notes.items()) {
    config_[key] = value;
    free_fields.push_back(key);
  }
  std::vector<std::string> later_fields = {"pictures"};  // of what the data says of itself
  for (const auto& [key, value] : job_.settings.items()) {
    config_[key] = value;
    later_fields.push_back(key);
  }
  if (!job_.base.empty()) {  // its weights, not its path: an adapter is for these, and a folder may be moved
    config_["model-weights"] = WeightsFingerprint(job_.base);
    later_fields.emplace_back("model-weights");
  }
  directory_.CheckConfig(config_, free_fields, later_fields);

  const TrainConfig& train = job_.train;
  const int64_t length = data_.max_length(), step_rows = train.SequencesPerStep() * length;
  pass_ = std::make_unique<TrainingPass>(job_.model, list_,
                                         TrainingPassOptions{.max_rows = train.batch_size * length,
                                                             .max_sequences = train.batch_size,
                                                             .max_length = length,
                                                             .max_images = data_.has_images() ? train.batch_size : 0,
                                                             .step_rows = step_rows,
                                                             .recompute = train.recompute,
                                                             .dropout_seed = train.seed});
  // Finish keeps the gradient of every embedded row of a step.
  plan_.activation_bytes = pass_->activation_bytes() + step_rows * job_.model.hidden_size * 4;
  if (data_.held_out() > 0) {
    const int64_t examples = EvaluationExamples(train, length);
    evaluation_ = std::make_unique<TrainingPass>(job_.model, list_,
                                                 TrainingPassOptions{.max_rows = examples * length,
                                                                     .max_sequences = examples,
                                                                     .max_length = length,
                                                                     .max_images = data_.has_images() ? examples : 0,
                                                                     .backward = false,
                                                                     .dropout = false});
    plan_.activation_bytes += evaluation_->activation_bytes();
  }
  plan_.parameters = list_.parameters;
  plan_.trained = list_.parameters;
  plan_.weight_bytes = plan_.gradient_bytes = list_.elements * 4;
  plan_.optimizer_bytes = list_.elements * 8;
  if (lora_) {
    plan_.trained = lora_->elements;
    plan_.weight_bytes += list_.elements * 4 + lora_->elements * 4;
    plan_.gradient_bytes += lora_->elements * 4;
    plan_.optimizer_bytes = lora_->elements * 8;
  }
  plan_.examples_per_step = train.SequencesPerStep();
  plan_.tokens_per_step = step_rows;
  plan_.max_steps = train.max_steps;
  RequireMemory(plan_.total_bytes(), "this training run");  // before any of it is touched

  if (lora_) {
    base_ = Buffer(list_.elements * 4);
    adapter_ = Buffer(lora_->elements * 4);
    adapter_gradients_ = Buffer(lora_->elements * 4);
    LoadParameters(job_.base, job_.model, list_, base_.As<float>());
  }
  saved_step_ = directory_.SavedStep();
  if (saved_step_) {
    TrainerState state = State();
    LoadTrainerState(directory_.path(), state);
    step_ = state.step;
    loss_ = state.loss;
  } else if (lora_) {
    InitializeLora(*lora_, train.seed, adapter_.As<float>());
  } else if (job_.base.empty()) {
    InitializeParameters(list_, train.seed, weights_.As<float>());
  } else {
    LoadParameters(job_.base, job_.model, list_, weights_.As<float>());
  }
  if (lora_) Merge();
  plan_.first_step = step_;
}

void Trainer::Merge() {
  std::copy_n(base_.As<float>().data(), list_.elements, weights_.As<float>().data());
  AddLora(context_, *lora_, adapter_.As<float>(), list_, weights_.As<float>());
}

std::span<float> Trainer::TrainedGradients() {
  if (!lora_) return gradients_.As<float>();
  LoraGradients(context_, *lora_, adapter_.As<float>(), list_, gradients_.As<float>(), adapter_gradients_.As<float>());
  return adapter_gradients_.As<float>();
}

TrainerState Trainer::State() {
  return {step_, loss_, trained(), optimizer_.m(), optimizer_.v()};
}

Trainer::StepResult Trainer::TrainStep(double learning_rate) {
  const TrainConfig& config = job_.train;
  SetToZero(context_, gradients_.As<float>());
  const uint64_t first = static_cast<uint64_t>(step_) * static_cast<uint64_t>(config.SequencesPerStep());
  std::vector<Example> examples(static_cast<size_t>(config.SequencesPerStep()));
  ParallelFor(context_, config.SequencesPerStep(), 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) examples[i] = data_.Read(config.seed, first + static_cast<uint64_t>(i));
  });
  int64_t labelled = 0, tokens = 0;
  for (const Example& example : examples) {
    labelled += example.labelled();
    tokens += static_cast<int64_t>(example.tokens.size());
  }
  const auto weight = static_cast<float>(1.0 / static_cast<double>(labelled));

  BatchBuffers batch;
  double loss = 0;
  for (int64_t pass = 0; pass < config.gradient_accumulation; ++pass) {
    batch.Clear();
    for (int64_t i = pass * config.batch_size; i < (pass + 1) * config.batch_size; ++i) {
      batch.Add(examples[i], first + static_cast<uint64_t>(i));
    }
    const TrainingBatch view = batch.View(weight);
    pass_->ForwardBackward(context_, weights_.As<float>(), view, static_cast<uint64_t>(step_), batch.losses(),
                           gradients_.As<float>());
    for (const float row : batch.losses()) loss += static_cast<double>(row);
  }
  pass_->Finish(context_, gradients_.As<float>());
  loss /= static_cast<double>(labelled);
  if (!std::isfinite(loss)) FailNotFinite("loss", loss);
  const std::span<float> gradients = TrainedGradients();
  const double norm = Optimizer::GradientNorm(context_, gradients);
  if (!std::isfinite(norm)) FailNotFinite("gradient norm", norm);
  optimizer_.Step(context_, step_ + 1, learning_rate, norm, gradients, trained());
  if (lora_) Merge();
  return {loss, norm, tokens};
}

EvaluationResult Trainer::Evaluate() {
  KINETOK_CHECK(evaluation_ != nullptr);
  const int64_t at_once = EvaluationExamples(job_.train, data_.max_length());
  const int64_t most = job_.train.eval_batches > 0 ? job_.train.eval_batches * job_.train.batch_size
                                                   : std::numeric_limits<int64_t>::max();
  BatchBuffers batch;
  std::vector<int32_t> predictions;
  std::optional<ActionScore> score;
  if (job_.actions) score.emplace(*job_.actions, job_.varying_actions);
  double sum = 0;
  int64_t labelled = 0;
  for (const DataShare& share : job_.data) {
    const int64_t held_out = share.source->held_out(), count = std::min(held_out, most);
    const auto place = [&](int64_t i) { return i * held_out / count; };  // of several files some of each are looked at
    for (int64_t first = 0; first < count; first += at_once) {
      std::vector<Example> examples(static_cast<size_t>(std::min(at_once, count - first)));
      ParallelFor(context_, static_cast<int64_t>(examples.size()), 1, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) examples[i] = share.source->HeldOut(place(first + i));
      });
      batch.Clear();
      for (size_t i = 0; i < examples.size(); ++i) batch.Add(examples[i], static_cast<uint64_t>(first) + i);
      const TrainingBatch view = batch.View(0);
      predictions.resize(score ? view.labels.size() : 0);
      evaluation_->Forward(context_, weights_.As<float>(), view, batch.losses(), predictions);
      for (const float row : batch.losses()) sum += static_cast<double>(row);
      size_t row = 0;
      for (const Example& example : examples) {
        labelled += example.labelled();
        int64_t dimension = 0;
        for (const int32_t label : example.labels) {
          if (score && job_.actions->IsAction(label)) score->Add(dimension++, predictions[row], label);
          ++row;
        }
      }
    }
  }
  EvaluationResult result{.loss = sum / static_cast<double>(labelled)};
  if (score && score->count() > 0) {
    result.action_token_accuracy = score->accuracy();
    result.varying_token_accuracy = score->varying_accuracy();
    result.action_l1 = score->l1();
  }
  return result;
}

void Trainer::EvaluateAndLog(RunLog& log, TrainingObserver& observer) {
  if (evaluation_ == nullptr) return;
  evaluated_ = Evaluate();
  if (!std::isfinite(evaluated_->loss)) FailNotFinite("validation loss", evaluated_->loss);
  OrderedJson line = {{"step", step_}, {"val_loss", evaluated_->loss}};
  if (evaluated_->action_token_accuracy) {
    line["action_token_accuracy"] = *evaluated_->action_token_accuracy;
    if (const auto varying = evaluated_->varying_token_accuracy) line["varying_token_accuracy"] = *varying;
    line["action_l1"] = *evaluated_->action_l1;
  }
  log.Append(line);
  observer.OnEvaluation(step_, *evaluated_);
}

void Trainer::Publish() const {
  if (lora_) return SaveAdapter(directory_.path(), *lora_, adapter_.As<float>(), job_.base.string());
  SaveCheckpoint(directory_.path(), job_.model, weights_.As<float>(), job_.tokenizer.get(), DType::kF32);
}

void Trainer::Save(RunLog& log, TrainingObserver& observer) {
  const double sum = SumOfSquares(context_, trained());
  if (!std::isfinite(sum)) FailNotFinite("sum of the squared weights", sum);
  log.Sync();  // the state must never be ahead of the log
  SaveTrainerState(directory_.path(), State());
  saved_step_ = step_;
  Publish();
  observer.OnCheckpoint(step_);
}

void Trainer::SampleIfDue(RunLog& log, TrainingObserver& observer) {
  if (!IsDue(step_, job_.train.sample_every) || log.last_sample() == step_) return;
  log.Append({{"step", step_}, {"sample", observer.Sample(step_, weights())}});
}

void Trainer::FailNotFinite(std::string_view what, double value) const {
  const std::string kept =
      saved_step_ ? fmt::format("the checkpoint of step {} in {} is kept", *saved_step_, directory_.path().string())
                  : std::string("no checkpoint was written yet");
  Fail(
      "step {}: the {} is {}, expected a finite number; {}; try a lower learning-rate, a longer warmup-steps, or "
      "grad-clip 1",
      step_ + 1, what, std::abs(value), kept);  // a NaN has no sign worth telling
}

TrainingResult Trainer::Run(TrainingObserver& observer, const std::atomic<bool>* stop) {
  const TrainConfig& config = job_.train;
  const Schedule schedule = config.MakeSchedule();
  directory_.Begin(config_);
  RunLog log(directory_.path() / "log.jsonl", saved_step_.value_or(-1));
  if (saved_step_) {  // a killed process may have saved its state and not come this far
    Publish();
    SampleIfDue(log, observer);
  } else {
    if (job_.tokenizer != nullptr) job_.tokenizer->Save(directory_.path());  // a resumed run needs what was made for it
    for (const auto& [name, content] : job_.files) WriteFileAtomically(directory_.path() / name, content);
  }

  TrainingResult result;
  double seconds = 0;
  int64_t tokens = 0;
  while (step_ < config.max_steps && !result.interrupted) {
    const Clock clock;
    const double learning_rate = LearningRate(schedule, step_);
    const StepResult result_of_step = TrainStep(learning_rate);
    loss_ = result_of_step.loss;
    tokens += result_of_step.tokens;
    ++step_;
    evaluated_.reset();
    const double taken = clock.Seconds();
    seconds += taken;
    const StepEvent event{step_, loss_, learning_rate, result_of_step.norm,
                          static_cast<double>(result_of_step.tokens) / std::max(taken, 1e-9)};
    const bool last = step_ == config.max_steps;
    if (last || step_ == 1 || IsDue(step_, config.log_every)) {
      log.Append({{"step", step_},
                  {"loss", loss_},
                  {"lr", learning_rate},
                  {"grad_norm", event.grad_norm},
                  {"tokens_per_s", std::round(event.tokens_per_s)}});
    }
    observer.OnStep(event);
    if (last || IsDue(step_, config.eval_every)) EvaluateAndLog(log, observer);
    result.interrupted = !last && stop != nullptr && stop->load();
    if (last || result.interrupted || IsDue(step_, config.save_every)) Save(log, observer);
    if (!result.interrupted) SampleIfDue(log, observer);  // a sample that fails takes no checkpoint with it
  }
  if (!result.interrupted && !evaluated_ && evaluation_ != nullptr) evaluated_ = Evaluate();  // the run was complete
  DrawLosses(directory_.path());
  result.steps = step_;
  result.train_loss = loss_;
  result.evaluation = evaluated_;
  if (seconds > 0) result.tokens_per_s = static_cast<double>(tokens) / seconds;
  return result;
}

}  // namespace kinetok
