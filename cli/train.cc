// kinetok train and kinetok finetune: a model from data, from nothing or from another model.

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <iostream>
#include <optional>

#include "cli/accuracy.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/train_data.h"
#include "cli/train_flags.h"
#include "kinetok/base/memory.h"
#include "kinetok/decode/generate.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/train/trainer.h"

namespace kinetok::cli {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<const Tokenizer> MakeTokenizer(const TokenizerSource& source, const std::vector<fs::path>& files,
                                               DocumentSeparator separator) {
  Note(fmt::format("making the tokenizer {} from {} file(s)\n", source.text, files.size()));
  if (source.kind == TokenizerSource::Kind::kCharacters) {
    const bool marks = separator == DocumentSeparator::kLine || separator == DocumentSeparator::kBlankLine;
    CharTrainer trainer(marks ? std::vector<std::string>{"<|endoftext|>"} : std::vector<std::string>{});
    ForEachDocument(files, separator, [&](std::string_view text) { trainer.Add(text); });
    return trainer.Train();
  }
  BytesBpeTrainer trainer({.vocab_size = source.vocab_size});
  ForEachDocument(files, separator, [&](std::string_view text) { trainer.Add(text); });
  return trainer.Train();
}

// A tokenizer that is made from the data stays the run's: a resumed run loads the one that it began with.
std::shared_ptr<const Tokenizer> ResolveTokenizer(const TokenizerSource& source, const std::vector<fs::path>& files,
                                                  DocumentSeparator separator, const RunDirectory& directory) {
  if (source.kind == TokenizerSource::Kind::kFile) return Tokenizer::Load(source.text);
  const Json saved = directory.SavedConfig();
  if (saved.is_object() && saved.contains("tokenizer") && saved["tokenizer"] != source.text) {
    Fail("{}: --tokenizer is \"{}\", this run began with {}; give the old one to resume, or --restart to start over",
         directory.path().string(), source.text, Shorten(saved["tokenizer"]));
  }
  const bool kept = directory.SavedStep() && fs::exists(directory.path() / "tokenizer.json");
  return kept ? Tokenizer::Load(directory.path()) : MakeTokenizer(source, files, separator);
}

// The prompt of the samples as ids; empty when none was given.
std::vector<int32_t> ResolveSamplePrompt(const TrainFlags& flags, const TrainingJob& job) {
  if (flags.sample_prompt.empty()) return {};
  try {
    std::vector<int32_t> ids = job.tokenizer->Encode(flags.sample_prompt);
    CheckPrompt(job.model, ids);
    return ids;
  } catch (const Error& e) {
    Fail("--sample-prompt: {}", e.what());
  }
}

// "", or ", action tokens 61.2% right (45.7% of those that vary), L1 0.0412".
std::string ActionWords(const EvaluationResult& result) {
  if (!result.action_token_accuracy) return "";
  return fmt::format(", action tokens {}, L1 {:.4f}",
                     AccuracyWords(*result.action_token_accuracy, result.varying_token_accuracy), *result.action_l1);
}

class Terminal : public TrainingObserver {
 public:
  Terminal(Context& context, const TrainingJob& job, const TrainFlags& flags, std::vector<int32_t> sample_prompt,
           const RunPlan& plan, bool text_only)
      : context_(context),
        job_(job),
        flags_(flags),
        sample_prompt_(std::move(sample_prompt)),
        bar_(std::cerr,
             {.label = "training",
              .total = plan.max_steps,
              .unit = text_only ? "tokens" : "examples",
              .units_per_step = static_cast<double>(text_only ? plan.tokens_per_step : plan.examples_per_step),
              .interactive = IsTerminal(STDERR_FILENO),
              .plain_seconds = 10,
              .columns = TerminalColumns(STDERR_FILENO),
              .now = {}}) {
    bar_.Update(plan.first_step);
  }

  void OnStep(const StepEvent& e) override {
    bar_.Update(e.step, fmt::format("loss {:.4f}  lr {:.2e}  grad {:.2f}", e.loss, e.learning_rate, e.grad_norm));
  }
  void OnEvaluation(int64_t step, const EvaluationResult& result) override {
    bar_.Clear();
    Note(fmt::format("step {}: validation loss {:.4f}{}\n", step, result.loss, ActionWords(result)));
  }
  std::string Sample(int64_t step, std::span<const float> weights) override {
    const auto model = Model::FromParameters(context_, job_.model, weights, DType::kF32, job_.tokenizer);
    std::vector<int32_t> prompt = sample_prompt_;
    if (prompt.empty()) {  // the end of a text begins the next one
      const auto eos = job_.tokenizer->eos_id();
      prompt = {eos ? *eos : job_.data.front().source->Draw(job_.train.seed, 0).tokens.front()};
    }
    GenerateOptions options;
    options.max_new_tokens = flags_.sample_tokens;
    options.sampler.seed = job_.train.seed;
    std::string text = flags_.sample_prompt + Generate(context_, model, prompt, options).text;
    bar_.Clear();
    Note(fmt::format("step {}: {}\n", step, text));
    return text;
  }
  void Finish() { bar_.Finish(); }

 private:
  Context& context_;
  const TrainingJob& job_;
  const TrainFlags& flags_;
  std::vector<int32_t> sample_prompt_;
  ProgressBar bar_;
};

void NotePlan(const RunPlan& p, const TrainingJob& job, const fs::path& out, double val_fraction) {
  const auto mb = [](int64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  const ModelConfig& model = job.model;
  Note(fmt::format(
      "{} model: {} layers, {} wide, {} heads, vocabulary {}, context {}: {} parameters{}\n"
      "memory: weights {:.1f} MB, gradients {:.1f} MB, optimizer {:.1f} MB, activations {:.1f} MB, in all {:.1f} MB\n",
      model.model_type, model.num_hidden_layers, model.hidden_size, model.num_attention_heads, model.vocab_size,
      model.max_position_embeddings, p.parameters,
      job.lora ? fmt::format(", an adapter of {} is trained", p.trained) : "", mb(p.weight_bytes), mb(p.gradient_bytes),
      mb(p.optimizer_bytes), mb(p.activation_bytes), mb(p.total_bytes())));
  double weights = 0;
  for (const DataShare& share : job.data) weights += share.weight;
  for (const DataShare& share : job.data) {
    const double percent = 100 * share.weight / weights;
    Note(fmt::format(
        "data: {}{}\n", share.source->Summary(),
        job.data.size() > 1 ? fmt::format(", {:.{}f}% of the examples", percent, percent < 1 ? 3 : 1) : ""));
    if (share.source->held_out() > 0 || val_fraction == 0) continue;
    Note(fmt::format("note: --val-fraction {} of so few holds out none, so nothing is measured on data like these\n",
                     val_fraction));
  }
  Note(fmt::format("{} examples a step, at most {} tokens; {} {} at step {} of {}\n", p.examples_per_step,
                   p.tokens_per_step, p.first_step > 0 ? "resuming" : "starting", out.string(), p.first_step,
                   p.max_steps));
}

// What train_config.json says beside the model, the training and the fingerprints of the data, so that it makes the
// same run again.
OrderedJson RunNotes(const TrainFlags& flags, const TokenizerSource& source) {
  OrderedJson notes = {{"data", flags.data},
                       {"val-fraction", flags.val_fraction},
                       {"tokenizer", source.text},
                       {"document-separator", flags.separator},
                       {"parse-special", flags.parse_special},
                       {"export-dtype", flags.export_dtype},
                       {"sample-tokens", flags.sample_tokens}};
  if (flags.finetune) {
    notes.erase("tokenizer");
    notes["model"] = flags.base;
  }
  if (!flags.data_weights.empty()) notes["data-weights"] = flags.data_weights;
  if (flags.Given("image-augmentation")) notes["image-augmentation"] = flags.augmentation;
  if (flags.Given("image-preset")) notes["image-preset"] = flags.images.preset;
  if (flags.images.rotate_180) notes["rotate-180"] = true;
  if (flags.images.center_crop) notes["center-crop"] = true;
  if (flags.images.no_jpeg_round_trip) notes["no-jpeg-round-trip"] = true;
  if (flags.demonstrations > 0) notes["demonstrations"] = flags.demonstrations;
  if (!flags.val_data.empty()) notes["val-data"] = flags.val_data;
  if (!flags.sample_prompt.empty()) notes["sample-prompt"] = flags.sample_prompt;
  return notes;
}

int Train(const Common& common, TrainFlags& flags) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow further is a failed write, told like any other
  if (!flags.config.empty()) ApplyConfigFile(flags);
  if (flags.finetune) RequireModel(flags.base);
  if (flags.data.empty()) throw UsageError("--data is missing: files or folders");
  if (flags.out.empty()) throw UsageError("--out is missing: the directory of the run");
  std::error_code other;  // of folders that are not there
  if (flags.finetune && std::filesystem::equivalent(flags.out, flags.base, other)) {
    throw UsageError(fmt::format(
        "--out is {}, which --model is too; a run begins anew from its --model when it is resumed", flags.out));
  }
  if (!(flags.val_fraction >= 0 && flags.val_fraction < 1)) {
    throw UsageError(fmt::format("--val-fraction is {}; it must be at least 0 and below 1", flags.val_fraction));
  }
  DocumentSeparator separator{};
  CheckFlags([&] { separator = ParseDocumentSeparator(flags.separator); });
  const DType export_dtype = ResolveExportDType(flags);
  const TokenizerSource source = ResolveTokenizerSource(flags);
  TrainingJob job;
  job.train = ResolveTraining(flags);
  job.lora = ResolveLora(flags);
  job.model = ResolveModel(flags, job.train);

  RunDirectory directory(flags.out, flags.restart);
  const DataFiles files = SortFiles(CollectFiles({flags.data.begin(), flags.data.end()}, directory.path()));
  job.tokenizer = ResolveTokenizer(source, files.text, separator, directory);
  FitTokenizer(flags, *job.tokenizer, &job.model);
  const std::vector<int32_t> sample_prompt = ResolveSamplePrompt(flags, job);
  TrainingSources sources =
      ResolveSources(flags, files, separator, job.tokenizer, job.model, job.train.block_size, directory);
  job.data = std::move(sources.shares);
  job.actions = sources.actions;
  job.varying_actions = std::move(sources.varying_actions);
  job.files = std::move(sources.files);
  job.settings = std::move(sources.settings);
  job.base = flags.base;
  job.notes = RunNotes(flags, source);

  const std::atomic<bool>& stop = CatchInterrupt();
  const auto context = common.MakeContext();
  Trainer trainer(*context, directory, job);
  NotePlan(trainer.plan(), job, directory.path(), flags.val_fraction);
  Terminal terminal(*context, job, flags, sample_prompt, trainer.plan(),
                    files.completions.empty() && files.demonstrations.empty());
  const TrainingResult result = trainer.Run(terminal, &stop);
  terminal.Finish();
  if (!result.interrupted && export_dtype != DType::kF32 && !job.lora) {
    SaveCheckpoint(directory.path(), job.model, trainer.weights(), job.tokenizer.get(), export_dtype);
  }

  const double peak_rss_gb = static_cast<double>(PeakRssBytes()) / 1e9;
  const std::optional<EvaluationResult>& e = result.evaluation;
  if (common.json) {
    OrderedJson json = {{"val_loss", e ? OrderedJson(e->loss) : OrderedJson(nullptr)},
                        {"train_loss", result.train_loss},
                        {"steps", result.steps},
                        {"tokens_per_s", result.tokens_per_s},
                        {"peak_rss_gb", peak_rss_gb}};
    if (e && e->action_token_accuracy) {
      json["action_token_accuracy"] = *e->action_token_accuracy;
      if (e->varying_token_accuracy) json["varying_token_accuracy"] = *e->varying_token_accuracy;
      json["action_l1"] = *e->action_l1;
    }
    PrintJson(json);
  } else {
    Print(fmt::format("{} steps: training loss {:.4f}{}, {} tokens/s, peak memory {:.2f} GB; the model is in {}\n",
                      result.steps, result.train_loss,
                      e ? fmt::format(", validation loss {:.4f}{}", e->loss, ActionWords(*e)) : "",
                      HumanRate(result.tokens_per_s), peak_rss_gb, flags.out));
  }
  return result.interrupted ? kInterrupted : 0;
}

}  // namespace

void AddTrain(CLI::App& app, Common& common) {
  auto flags = std::make_shared<TrainFlags>();
  AddTrainFlags(AddCommand(app, common,
                           {"train", "Train a model from text, questions with answers, or a robot's demonstrations",
                            "kinetok train --data shakespeare.txt --preset nano-char-cpu --out out"},
                           [flags, &common] { return Train(common, *flags); }),
                *flags);
}

void AddFinetune(CLI::App& app, Common& common) {
  auto flags = std::make_shared<TrainFlags>();
  flags->finetune = true;
  AddTrainFlags(AddCommand(app, common,
                           {"finetune", "Train a model further, on text, questions with answers, or demonstrations",
                            "kinetok finetune --model models/robot --data demos.hdf5 --out out"},
                           [flags, &common] { return Train(common, *flags); }),
                *flags);
}

}  // namespace kinetok::cli
