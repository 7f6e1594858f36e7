#include "kinetok/train/train_config.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

constexpr int64_t kMaxCount = int64_t{1} << 40;
constexpr int64_t kMaxSeed = std::numeric_limits<int64_t>::max();  // what every JSON reader keeps whole

void CheckCount(const char* name, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) Fail("{} is {}; it must be from {} to {}", name, value, low, high);
}

void CheckNumber(const char* name, double value, bool ok, const char* expected) {
  if (!ok || !std::isfinite(value)) Fail("{} is {}; it must be {}", name, value, expected);
}

}  // namespace

void TrainConfig::Check() const {
  CheckCount("batch_size", batch_size, 1, 1 << 20);
  CheckCount("block_size", block_size, 1, 1 << 24);
  CheckCount("gradient_accumulation", gradient_accumulation, 1, 1 << 20);
  CheckCount("max_steps", max_steps, 1, kMaxCount);
  CheckCount("warmup_steps", warmup_steps, 0, kMaxCount);
  CheckCount("save_every", save_every, 0, kMaxCount);
  CheckCount("eval_every", eval_every, 0, kMaxCount);
  CheckCount("eval_batches", eval_batches, 0, kMaxCount);
  CheckCount("sample_every", sample_every, 0, kMaxCount);
  CheckCount("log_every", log_every, 1, kMaxCount);
  if (SequencesPerStep() > kMaxCount / block_size) {
    Fail("batch_size is {}; with gradient-accumulation {} and block-size {} a step has more than {} tokens", batch_size,
         gradient_accumulation, block_size, kMaxCount);
  }
  if (seed > static_cast<uint64_t>(kMaxSeed)) Fail("seed is {}; it must be from 0 to {} (2^63 - 1)", seed, kMaxSeed);
  ParseScheduleKind(schedule);
  CheckNumber("learning_rate", learning_rate, learning_rate > 0, "above 0");
  CheckNumber("min_learning_rate", min_learning_rate, min_learning_rate >= 0 && min_learning_rate <= learning_rate,
              "at least 0 and at most learning-rate");
  CheckNumber("decay_fraction", decay_fraction, decay_fraction >= 0 && decay_fraction <= 1, "from 0 to 1");
  CheckNumber("beta1", optimizer.beta1, optimizer.beta1 > 0 && optimizer.beta1 < 1, "above 0 and below 1");
  CheckNumber("beta2", optimizer.beta2, optimizer.beta2 > 0 && optimizer.beta2 < 1, "above 0 and below 1");
  CheckNumber("adam_eps", optimizer.eps, optimizer.eps > 0, "above 0");
  CheckNumber("weight_decay", optimizer.weight_decay, optimizer.weight_decay >= 0, "at least 0");
  CheckNumber("grad_clip", optimizer.grad_clip, optimizer.grad_clip >= 0, "at least 0 (0 does not clip)");
}

Schedule TrainConfig::MakeSchedule() const {
  return {.kind = ParseScheduleKind(schedule),
          .learning_rate = learning_rate,
          .min_learning_rate = min_learning_rate,
          .warmup_steps = warmup_steps,
          .max_steps = max_steps,
          .decay_fraction = decay_fraction};
}

std::span<const std::string> FreeTrainFields() {
  static const std::vector<std::string> kFields = {"max-steps",    "recompute",    "save-every", "eval-every",
                                                   "eval-batches", "sample-every", "log-every"};
  return kFields;
}

OrderedJson TrainConfigToJson(const TrainConfig& config) {
  OrderedJson json;
  VisitTrainConfig(config, [&json](const char* name, const auto& field, const char*) { json[name] = field; });
  return json;
}

void ReadTrainConfig(const Json& json, std::string_view source, TrainConfig* config) {
  const JsonObject object(json, std::string(source));
  VisitTrainConfig(*config, [&object]<class T>(const char* name, T& field, const char*) {
    if (!object.Has(name)) return;
    if constexpr (std::is_same_v<T, bool>) {
      field = object.Bool(name);
    } else if constexpr (std::is_same_v<T, double>) {
      field = object.Number(name);
    } else if constexpr (std::is_same_v<T, std::string>) {
      field = object.String(name);
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      field = static_cast<uint64_t>(object.Int(name, 0, kMaxSeed));
    } else {
      field = object.Int(name, 0, kMaxCount);
    }
  });
}

namespace {

// GPT-3's runs (Brown et al. 2020, table 2.1 and appendix B): 300 billion tokens in blocks of 2048, a warm-up over the
// first 375 million of them, then a cosine down to a tenth.
struct Gpt3Run {
  std::string_view preset;
  int64_t sequences;  // of a step: 0.5, 1, 2 or 3.2 million tokens
  double learning_rate;
};
constexpr Gpt3Run kGpt3Runs[] = {{"gpt3-125m", 256, 6e-4}, {"gpt3-350m", 256, 3e-4},   {"gpt3-760m", 256, 2.5e-4},
                                 {"gpt3-1.3b", 512, 2e-4}, {"gpt3-2.7b", 512, 1.6e-4}, {"gpt3-6.7b", 1024, 1.2e-4},
                                 {"gpt3-13b", 1024, 1e-4}, {"gpt3-175b", 1600, 0.6e-4}};

TrainConfig Gpt3Training(const Gpt3Run& run) {
  TrainConfig c;
  c.batch_size = 1;
  c.block_size = 2048;
  c.gradient_accumulation = run.sequences;
  c.max_steps = 300'000'000'000 / c.TokensPerStep();
  c.warmup_steps = 375'000'000 / c.TokensPerStep();
  c.learning_rate = run.learning_rate;
  c.min_learning_rate = run.learning_rate / 10;
  c.optimizer.beta2 = 0.95;
  c.optimizer.weight_decay = 0.1;
  c.save_every = c.eval_every = 1000;
  c.eval_batches = 200;
  return c;
}

}  // namespace

TrainConfig TrainPreset(std::string_view preset) {
  TrainConfig c;  // nanoGPT's configuration for a CPU
  if (preset == "nano-char-gpu") {
    c.batch_size = 64;
    c.block_size = 256;
    c.max_steps = 5000;
  } else if (preset == "gpt2-124m") {  // nanoGPT's train_gpt2: half a million tokens a step
    c.batch_size = 4;
    c.block_size = 1024;
    c.gradient_accumulation = 120;
    c.max_steps = 600000;
    c.learning_rate = 6e-4;
    c.min_learning_rate = 6e-5;
    c.warmup_steps = 2000;
    c.optimizer.beta2 = 0.95;
    c.save_every = c.eval_every = 1000;
    c.eval_batches = 200;
  } else if (preset == "gpt1-117m") {  // Radford et al. 2018: batches of 64 sequences of 512
    c.batch_size = 4;
    c.block_size = 512;
    c.gradient_accumulation = 16;
    c.max_steps = 600000;
    c.learning_rate = 2.5e-4;
    c.min_learning_rate = 0;
    c.warmup_steps = 2000;
    c.optimizer.beta2 = 0.999;
    c.optimizer.weight_decay = 0.01;
    c.save_every = c.eval_every = 1000;
    c.eval_batches = 200;
  } else if (preset.starts_with("tiny")) {
    c.batch_size = 8;
    c.max_steps = 300;
    c.warmup_steps = 10;
    c.save_every = c.eval_every = 100;
  }
  for (const Gpt3Run& run : kGpt3Runs) {
    if (preset == run.preset) c = Gpt3Training(run);
  }
  return c;
}

}  // namespace kinetok
