#include "kinetok/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/base/memory.h"
#include "kinetok/io/plot.h"
#include "kinetok/kernels/elementwise.h"
#include "kinetok/model/checkpoint.h"

namespace kinetok {
namespace {

// Sequences of one evaluation pass: enough rows for the kernels, whatever the training batch.
int64_t EvaluationSequences(const TrainConfig& config) {
  return std::max(config.batch_size, CeilDiv(256, config.block_size));
}

void CheckTokens(const TokenRange& range, int64_t vocab_size, std::string_view name) {
  std::vector<int32_t> ids(1 << 16);
  for (int64_t first = 0; first < range.size; first += static_cast<int64_t>(ids.size())) {
    const std::span<int32_t> part(
        ids.data(), static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(ids.size()), range.size - first)));
    range.Read(first, part);
    for (size_t i = 0; i < part.size(); ++i) {
      if (part[i] < 0 || part[i] >= vocab_size) {
        Fail("{} data: token {} is {}, expected one in [0, {}), the model's vocab_size", name,
             first + static_cast<int64_t>(i), part[i], vocab_size);
      }
    }
  }
}

void CheckJob(const TrainingJob& job) {
  job.train.Check();
  job.model.Check("model");
  const int64_t block = job.train.block_size;
  if (block > job.model.max_position_embeddings) {
    Fail("block_size is {}; it must be at most {}, the model's max_position_embeddings", block,
         job.model.max_position_embeddings);
  }
  if (job.tokenizer != nullptr && job.tokenizer->vocab_size() > job.model.vocab_size) {
    Fail("vocab_size is {}; it must be at least {}, the size of the tokenizer", job.model.vocab_size,
         job.tokenizer->vocab_size());
  }
  if (job.data.train.size <= block) {
    Fail(
        "training data: has {} tokens, a block of {} (block-size) needs at least {}; give more text or a shorter block",
        job.data.train.size, block, block + 1);
  }
  if (job.data.validation.size == 1) {
    Fail("validation data: has 1 token, expected at least 2; give more text or another val-fraction");
  }
  CheckTokens(job.data.train, job.model.vocab_size, "training");
  CheckTokens(job.data.validation, job.model.vocab_size, "validation");
}

OrderedJson DescribeRange(const TokenRange& range) {
  if (range.size == 0) return nullptr;
  return {{"sha256", range.file->about().value("sha256", "")}, {"first", range.first}, {"tokens", range.size}};
}

// Whole sequences of `block` tokens cut from a range, as a TrainingBatch.
class BatchBuffers {
 public:
  void Clear() {
    tokens_.clear();
    labels_.clear();
    lengths_.clear();
    keys_.clear();
  }

  void Add(const TokenRange& range, int64_t offset, int64_t length, uint64_t key) {
    window_.resize(static_cast<size_t>(length) + 1);
    range.Read(offset, window_);
    tokens_.insert(tokens_.end(), window_.begin(), window_.end() - 1);
    labels_.insert(labels_.end(), window_.begin() + 1, window_.end());
    lengths_.push_back(static_cast<int32_t>(length));
    keys_.push_back(key);
  }

  TrainingBatch View(float weight) {
    weights_.assign(tokens_.size(), weight);
    losses_.resize(tokens_.size());
    return {.tokens = tokens_, .labels = labels_, .weights = weights_, .lengths = lengths_, .sample_keys = keys_};
  }

  std::span<float> losses() { return losses_; }  // one a row, sized by View

 private:
  std::vector<int32_t> window_, tokens_, labels_, lengths_;
  std::vector<uint64_t> keys_;
  std::vector<float> weights_, losses_;
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

bool IsDue(int64_t step, int64_t every) {
  return every > 0 && step % every == 0;
}

}  // namespace

Trainer::Trainer(Context& context, RunDirectory& directory, TrainingJob job)
    : context_(context),
      directory_(directory),
      job_((CheckJob(job), std::move(job))),
      list_(job_.model),
      optimizer_((RequireMemory(list_.elements * 16, "this training run"), list_), job_.train.optimizer),
      weights_(list_.elements * 4),
      gradients_(list_.elements * 4) {
  config_ = TrainConfigToJson(job_.train);
  config_["model-config"] = ModelConfigToJson(job_.model, "float32");
  config_["train-data"] = DescribeRange(job_.data.train);
  config_["validation-data"] = DescribeRange(job_.data.validation);
  std::vector<std::string> free_fields(FreeTrainFields().begin(), FreeTrainFields().end());
  free_fields.emplace_back("validation-data");  // evaluated, never learned from
  for (const auto& [key, value] : job_.notes.items()) {
    config_[key] = value;
    free_fields.push_back(key);
  }
  directory_.CheckConfig(config_, free_fields);

  const TrainConfig& train = job_.train;
  pass_ = std::make_unique<TrainingPass>(job_.model, list_,
                                         TrainingPassOptions{.max_rows = train.batch_size * train.block_size,
                                                             .max_sequences = train.batch_size,
                                                             .max_length = train.block_size,
                                                             .step_rows = train.TokensPerStep(),
                                                             .recompute = train.recompute,
                                                             .dropout_seed = train.seed});
  // Finish keeps the gradient of every embedded row of a step.
  plan_.activation_bytes = pass_->activation_bytes() + train.TokensPerStep() * job_.model.hidden_size * 4;
  if (job_.data.validation.size > 0) {
    const int64_t sequences = EvaluationSequences(train);
    evaluation_ = std::make_unique<TrainingPass>(job_.model, list_,
                                                 TrainingPassOptions{.max_rows = sequences * train.block_size,
                                                                     .max_sequences = sequences,
                                                                     .max_length = train.block_size,
                                                                     .backward = false,
                                                                     .dropout = false});
    plan_.activation_bytes += evaluation_->activation_bytes();
  }
  plan_.parameters = list_.parameters;
  plan_.weight_bytes = plan_.gradient_bytes = list_.elements * 4;
  plan_.optimizer_bytes = list_.elements * 8;
  plan_.tokens_per_step = train.TokensPerStep();
  plan_.train_tokens = job_.data.train.size;
  plan_.validation_tokens = job_.data.validation.size;
  plan_.max_steps = train.max_steps;
  RequireMemory(plan_.total_bytes(), "this training run");  // before any of it is touched

  saved_step_ = directory_.SavedStep();
  if (saved_step_) {
    TrainerState state = State();
    LoadTrainerState(directory_.path(), state);
    step_ = state.step;
    loss_ = state.loss;
  } else {
    InitializeParameters(list_, train.seed, weights_.As<float>());
  }
  plan_.first_step = step_;
}

TrainerState Trainer::State() {
  return {step_, loss_, weights_.As<float>(), optimizer_.m(), optimizer_.v()};
}

double Trainer::TrainStep(double learning_rate, double* norm) {
  const TrainConfig& config = job_.train;
  SetToZero(context_, gradients_.As<float>());
  BatchBuffers batch;
  double loss = 0;
  auto sample = static_cast<uint64_t>(step_) * static_cast<uint64_t>(config.SequencesPerStep());
  const auto weight = static_cast<float>(1.0 / static_cast<double>(config.TokensPerStep()));
  for (int64_t pass = 0; pass < config.gradient_accumulation; ++pass) {
    batch.Clear();
    for (int64_t i = 0; i < config.batch_size; ++i, ++sample) {
      const int64_t offset = SampleOffset(config.seed, sample, job_.data.train.size, config.block_size);
      batch.Add(job_.data.train, offset, config.block_size, sample);
    }
    const TrainingBatch view = batch.View(weight);
    pass_->ForwardBackward(context_, weights_.As<float>(), view, static_cast<uint64_t>(step_), batch.losses(),
                           gradients_.As<float>());
    for (const float row : batch.losses()) loss += static_cast<double>(row);
  }
  pass_->Finish(context_, gradients_.As<float>());
  loss /= static_cast<double>(config.TokensPerStep());
  if (!std::isfinite(loss)) FailNotFinite("loss", loss);
  *norm = Optimizer::GradientNorm(context_, gradients_.As<float>());
  if (!std::isfinite(*norm)) FailNotFinite("gradient norm", *norm);
  optimizer_.Step(context_, step_ + 1, learning_rate, *norm, gradients_.As<float>(), weights_.As<float>());
  return loss;
}

double Trainer::Evaluate() {
  KINETOK_CHECK(evaluation_ != nullptr);
  const TokenRange& data = job_.data.validation;
  const int64_t block = job_.train.block_size, last = data.size - 1;  // tokens that are predicted
  const int64_t blocks = CeilDiv(last, block), sequences = EvaluationSequences(job_.train);
  const int64_t limit =
      job_.train.eval_batches > 0 ? std::min(blocks, job_.train.eval_batches * job_.train.batch_size) : blocks;
  BatchBuffers batch;
  double sum = 0;
  for (int64_t first = 0; first < limit; first += sequences) {
    batch.Clear();
    for (int64_t i = first; i < std::min(limit, first + sequences); ++i) {
      batch.Add(data, i * block, std::min(block, last - i * block), static_cast<uint64_t>(i));
    }
    const TrainingBatch view = batch.View(0);
    evaluation_->Forward(context_, weights_.As<float>(), view, batch.losses());
    for (const float row : batch.losses()) sum += static_cast<double>(row);
  }
  return sum / static_cast<double>(std::min(last, limit * block));
}

void Trainer::EvaluateAndLog(RunLog& log, TrainingObserver& observer) {
  if (evaluation_ == nullptr) return;
  val_loss_ = Evaluate();
  if (!std::isfinite(*val_loss_)) FailNotFinite("validation loss", *val_loss_);
  log.Append({{"step", step_}, {"val_loss", *val_loss_}});
  observer.OnEvaluation(step_, *val_loss_);
}

void Trainer::Publish() const {
  SaveCheckpoint(directory_.path(), job_.model, weights_.As<float>(), job_.tokenizer.get(), DType::kF32);
}

void Trainer::Save(RunLog& log, TrainingObserver& observer) {
  const double sum = SumOfSquares(context_, weights_.As<float>());
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
  } else if (job_.tokenizer != nullptr) {
    job_.tokenizer->Save(directory_.path());  // a resumed run needs the one that was made for it
  }

  TrainingResult result;
  double seconds = 0;
  const int64_t first = step_;
  while (step_ < config.max_steps && !result.interrupted) {
    const Clock clock;
    const double learning_rate = LearningRate(schedule, step_);
    double norm = 0;
    loss_ = TrainStep(learning_rate, &norm);
    ++step_;
    val_loss_.reset();
    const double taken = clock.Seconds();
    seconds += taken;
    const StepEvent event{step_, loss_, learning_rate, norm,
                          static_cast<double>(config.TokensPerStep()) / std::max(taken, 1e-9)};
    const bool last = step_ == config.max_steps;
    if (last || step_ == 1 || IsDue(step_, config.log_every)) {
      log.Append({{"step", step_},
                  {"loss", loss_},
                  {"lr", learning_rate},
                  {"grad_norm", norm},
                  {"tokens_per_s", std::round(event.tokens_per_s)}});
    }
    observer.OnStep(event);
    if (last || IsDue(step_, config.eval_every)) EvaluateAndLog(log, observer);
    result.interrupted = !last && stop != nullptr && stop->load();
    if (last || result.interrupted || IsDue(step_, config.save_every)) Save(log, observer);
    if (!result.interrupted) SampleIfDue(log, observer);  // a sample that fails takes no checkpoint with it
  }
  if (!result.interrupted && !val_loss_ && evaluation_ != nullptr) val_loss_ = Evaluate();  // the run was complete
  DrawLosses(directory_.path());
  result.steps = step_;
  result.train_loss = loss_;
  result.val_loss = val_loss_;
  if (seconds > 0) result.tokens_per_s = static_cast<double>((step_ - first) * config.TokensPerStep()) / seconds;
  return result;
}

}  // namespace kinetok
