// kinetok train: a model from text.

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <optional>

#include "cli/cli.h"
#include "cli/progress.h"
#include "kinetok/base/file.h"
#include "kinetok/base/memory.h"
#include "kinetok/decode/generate.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/presets.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/train/trainer.h"

namespace kinetok::cli {
namespace {

namespace fs = std::filesystem;

struct Flags {
  CLI::App* command = nullptr;
  std::vector<std::string> data, val_data;
  std::string config, preset, architecture, model_config, tokenizer, out, separator = "file", export_dtype = "f32";
  std::string sample_prompt;
  double val_fraction = 0.1, dropout = 0;
  int64_t sample_tokens = 200;
  bool restart = false, parse_special = true, bias = true, tie = true;
  ModelConfig model;  // only the fields whose flag was given count, and so for `train`
  TrainConfig train;

  bool Given(const std::string& name) const { return command->get_option("--" + name)->count() > 0; }
};

// The model's size, by the flag's name.
template <class F>
void VisitModelFlags(ModelConfig& c, F&& fn) {
  fn("vocab-size", c.vocab_size, "Ids of the model; default: the tokenizer's");
  fn("hidden-size", c.hidden_size, "Width of the residual stream");
  fn("num-hidden-layers", c.num_hidden_layers, "Layers");
  fn("num-attention-heads", c.num_attention_heads, "Heads; their width is hidden-size / heads");
  fn("num-key-value-heads", c.num_key_value_heads, "Key and value heads; default: as many as heads");
  fn("intermediate-size", c.intermediate_size, "Width of the MLP; default: 4 (llama: 8/3) times hidden-size");
  fn("max-position-embeddings", c.max_position_embeddings, "The context; default: block-size");
}

// Gives the flags of a --config file to the options that the command line left out.
void ApplyConfigFile(Flags& flags) {
  const Json json = ParseJson(ReadFile(flags.config), flags.config);
  const JsonObject object(json, flags.config);
  for (const auto& [key, value] : object.json().items()) {
    if (key == "train-data" || key == "validation-data" || value.is_null()) continue;  // of a saved train_config.json
    CLI::Option* option = flags.command->get_option_no_throw("--" + key);
    if (option == nullptr || key == "config" || key == "help") {
      std::vector<std::string> names;
      for (const CLI::Option* o : flags.command->get_options()) names.push_back(o->get_single_name());
      const std::string near = NearestName(key, names);
      Fail("{}: \"{}\" is no flag of train{}", flags.config, key,
           near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
    }
    if (option->count() > 0) continue;  // the command line wins
    const auto text = [](const Json& v) { return v.is_string() ? v.get<std::string>() : v.dump(); };
    try {
      if (value.is_array()) {
        for (const Json& v : value) option->add_result(text(v));
      } else {
        option->add_result(text(value));
      }
      option->run_callback();
    } catch (const CLI::Error& e) {
      Fail("{}: {} is {}: {}", flags.config, key, Shorten(value), e.what());
    }
  }
}

TrainConfig ResolveTraining(const Flags& flags) {
  TrainConfig config = TrainPreset(flags.preset);
  Json given = TrainConfigToJson(flags.train);
  VisitTrainConfig(flags.train, [&](const char* name, const auto&, const char*) {
    if (!flags.Given(name)) given.erase(name);
  });
  ReadTrainConfig(given, "the command line", &config);
  if (flags.Given("learning-rate") && !flags.Given("min-learning-rate")) {
    config.min_learning_rate = config.learning_rate / 10;
  }
  CheckFlags([&config] { config.Check(); });
  return config;
}

ModelConfig BaseModel(const Flags& flags) {
  if (!flags.model_config.empty()) {
    if (!flags.preset.empty()) throw UsageError("--model-config and --preset both name a model; give one");
    const bool inline_json = flags.model_config.starts_with('{');  // as a saved train_config.json holds it
    return inline_json ? ParseModelConfig(ParseJson(flags.model_config, flags.config), flags.config)
                       : LoadModelConfig(flags.model_config);
  }
  if (!flags.preset.empty()) {
    ModelConfig model = PresetFlag(flags.preset);
    if (!flags.architecture.empty() && model.model_type != flags.architecture) {
      throw UsageError(fmt::format("--architecture is {}, the preset {} is a {}", flags.architecture, flags.preset,
                                   model.model_type));
    }
    return model;
  }
  return Preset(flags.architecture == "llama" ? "tiny-llama" : flags.architecture == "gpt2" ? "tiny" : "nano-char-cpu");
}

ModelConfig ResolveModel(Flags& flags, const TrainConfig& train, const Tokenizer& tokenizer) {
  ModelConfig c = BaseModel(flags);
  const ModelConfig base = c;
  c.vocab_size = tokenizer.vocab_size();
  c.max_position_embeddings = train.block_size;
  ModelConfig& given = flags.model;
  std::vector<const char*> names;
  std::vector<int64_t> values;
  VisitModelFlags(given, [&](const char* name, int64_t value, const char*) {
    names.push_back(name);
    values.push_back(value);
  });
  size_t at = 0;
  VisitModelFlags(c, [&](const char* name, int64_t& field, const char*) {
    if (flags.Given(name)) field = values[at];
    ++at;
  });
  if (c.num_attention_heads < 1 || c.hidden_size % c.num_attention_heads != 0) {
    throw UsageError(fmt::format("--hidden-size is {}; it must be a multiple of the {} attention heads", c.hidden_size,
                                 c.num_attention_heads));
  }
  if (c.num_attention_heads != base.num_attention_heads && !flags.Given("num-key-value-heads")) {
    c.num_key_value_heads = c.num_attention_heads;
  }
  if (c.hidden_size != base.hidden_size && !flags.Given("intermediate-size")) {
    c.intermediate_size = c.gated_mlp ? (c.hidden_size * 8 / 3 + 31) / 32 * 32 : 4 * c.hidden_size;
  }
  c.head_dim = c.hidden_size / c.num_attention_heads;
  if (flags.Given("dropout")) c.embd_pdrop = c.attn_pdrop = c.resid_pdrop = flags.dropout;
  if (flags.Given("bias")) {
    c.attention_bias = c.mlp_bias = flags.bias;
    c.norm_bias = flags.bias && c.norm == Norm::kLayer;
  }
  if (flags.Given("tie-word-embeddings")) c.tie_word_embeddings = flags.tie;
  c.bos_token_id = tokenizer.bos_id();
  c.eos_token_ids.clear();
  if (const auto eos = tokenizer.eos_id()) c.eos_token_ids.push_back(*eos);
  CheckFlags([&c] {
    try {
      c.Check("model");
    } catch (const Error& e) {
      const std::string_view message = e.what();
      throw Error(std::string(message.starts_with("model: ") ? message.substr(7) : message));
    }
  });
  return c;
}

// "char" and "bpe:SIZE" are made from the data, anything else is loaded. A run keeps the one it began with.
std::shared_ptr<const Tokenizer> ResolveTokenizer(const std::string& spec, const std::vector<fs::path>& files,
                                                  DocumentSeparator separator, const RunDirectory& directory) {
  const bool characters = spec == "char", bpe = spec.starts_with("bpe:");
  if (!characters && !bpe) return Tokenizer::Load(spec);
  if (!directory.SavedStep() || !fs::exists(directory.path() / "tokenizer.json")) {
    Note(fmt::format("making the tokenizer {} from {} file(s)\n", spec, files.size()));
    const bool marks = separator == DocumentSeparator::kLine || separator == DocumentSeparator::kBlankLine;
    if (characters) {
      CharTrainer trainer(marks ? std::vector<std::string>{"<|endoftext|>"} : std::vector<std::string>{});
      ForEachDocument(files, separator, [&](std::string_view text) { trainer.Add(text); });
      trainer.Train()->Save(directory.path());
    } else {
      const std::vector<int32_t> size = ParseIds(std::string_view(spec).substr(4), "--tokenizer bpe:SIZE");
      if (size.size() != 1) throw UsageError("--tokenizer is \"" + spec + "\"; expected a file, char or bpe:SIZE");
      BytesBpeTrainer trainer({.vocab_size = size[0]});
      ForEachDocument(files, separator, [&](std::string_view text) { trainer.Add(text); });
      trainer.Train()->Save(directory.path());
    }
  }
  return Tokenizer::Load(directory.path());
}

std::string TokenizerSpec(const Flags& flags) {
  if (!flags.tokenizer.empty()) return flags.tokenizer;
  if (flags.preset.starts_with("tiny")) return "bpe:512";
  if (flags.preset.empty() || flags.preset.starts_with("nano-char")) return "char";
  throw UsageError("--tokenizer is missing: a tokenizer.json, a folder that holds one, char, or bpe:SIZE");
}

class Terminal : public TrainingObserver {
 public:
  Terminal(Context& context, const TrainingJob& job, const Flags& flags, const RunPlan& plan)
      : context_(context),
        job_(job),
        flags_(flags),
        bar_(std::cerr, {.label = "training",
                         .total = plan.max_steps,
                         .unit = "tokens",
                         .units_per_step = static_cast<double>(plan.tokens_per_step),
                         .interactive = IsTerminal(STDERR_FILENO),
                         .plain_seconds = 10,
                         .columns = TerminalColumns(STDERR_FILENO),
                         .now = {}}) {
    bar_.Update(plan.first_step);
  }

  void OnStep(const StepEvent& e) override {
    bar_.Update(e.step, fmt::format("loss {:.4f}  lr {:.2e}  grad {:.2f}", e.loss, e.learning_rate, e.grad_norm));
  }
  void OnEvaluation(int64_t step, double loss) override {
    bar_.Clear();
    Note(fmt::format("step {}: validation loss {:.4f}\n", step, loss));
  }
  std::string Sample(int64_t step, std::span<const float> weights) override {
    const auto model = Model::FromParameters(context_, job_.model, weights, DType::kF32, job_.tokenizer);
    std::vector<int32_t> prompt(1);
    if (!flags_.sample_prompt.empty()) {
      prompt = job_.tokenizer->Encode(flags_.sample_prompt);
    } else if (const auto eos = job_.tokenizer->eos_id()) {
      prompt[0] = *eos;
    } else {
      job_.data.train.Read(0, prompt);
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
  const Flags& flags_;
  ProgressBar bar_;
};

void NotePlan(const RunPlan& p, const ModelConfig& model, const fs::path& out) {
  const auto mb = [](int64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  Note(fmt::format(
      "{} model: {} layers, {} wide, {} heads, vocabulary {}, context {}: {} parameters\n"
      "memory: weights {:.1f} MB, gradients {:.1f} MB, optimizer {:.1f} MB, activations {:.1f} MB, in all {:.1f} MB\n"
      "data: {} training tokens, {} validation tokens, {} tokens a step\n{} {} at step {} of {}\n",
      model.model_type, model.num_hidden_layers, model.hidden_size, model.num_attention_heads, model.vocab_size,
      model.max_position_embeddings, p.parameters, mb(p.weight_bytes), mb(p.gradient_bytes), mb(p.optimizer_bytes),
      mb(p.activation_bytes), mb(p.total_bytes()), p.train_tokens, p.validation_tokens, p.tokens_per_step,
      p.first_step > 0 ? "resuming" : "starting", out.string(), p.first_step, p.max_steps));
}

DataSplit ResolveData(const Flags& flags, const std::vector<fs::path>& files, DocumentSeparator separator,
                      const Tokenizer& tokenizer, const fs::path& out) {
  fs::create_directories(out / "data");
  TokeniseOptions options;
  options.separator = separator;
  options.parse_special = flags.parse_special;
  const auto tokenise = [&](const std::vector<fs::path>& from, const char* name) {
    std::optional<ProgressBar> bar;
    options.progress = [&](int64_t done, int64_t total) {
      if (!bar) {
        bar.emplace(std::cerr, ProgressBar::Options{.label = "tokenising",
                                                    .total = total,
                                                    .unit = "bytes",
                                                    .interactive = IsTerminal(STDERR_FILENO),
                                                    .columns = TerminalColumns(STDERR_FILENO),
                                                    .now = {}});
      }
      bar->Update(done);
    };
    return TokeniseFiles(from, tokenizer, options, out / "data" / name);
  };
  const auto train = tokenise(files, "train.tokens");
  if (flags.val_data.empty()) return SplitTokens(train, flags.val_fraction);
  const auto held_out = tokenise(CollectFiles({flags.val_data.begin(), flags.val_data.end()}), "validation.tokens");
  return {{train, 0, train->size()}, {held_out, 0, held_out->size()}};
}

int Train(const Common& common, Flags& flags) {
  if (!flags.config.empty()) ApplyConfigFile(flags);
  if (flags.data.empty()) throw UsageError("--data is missing: text files or folders");
  if (flags.out.empty()) throw UsageError("--out is missing: the directory of the run");
  if (flags.val_fraction < 0 || flags.val_fraction >= 1) {
    throw UsageError(fmt::format("--val-fraction is {}; it must be at least 0 and below 1", flags.val_fraction));
  }
  DocumentSeparator separator{};
  CheckFlags([&] { separator = ParseDocumentSeparator(flags.separator); });
  const DType export_dtype = DTypeFlag(flags.export_dtype);
  const std::string spec = TokenizerSpec(flags);

  TrainingJob job;
  job.train = ResolveTraining(flags);
  const std::vector<fs::path> files = CollectFiles({flags.data.begin(), flags.data.end()});
  RunDirectory directory(flags.out, flags.restart);
  job.tokenizer = ResolveTokenizer(spec, files, separator, directory);
  job.model = ResolveModel(flags, job.train, *job.tokenizer);
  job.data = ResolveData(flags, files, separator, *job.tokenizer, directory.path());
  job.notes = {{"data", flags.data},
               {"val-fraction", flags.val_fraction},
               {"tokenizer", spec},
               {"document-separator", flags.separator},
               {"parse-special", flags.parse_special}};
  if (!flags.val_data.empty()) job.notes["val-data"] = flags.val_data;

  const std::atomic<bool>& stop = CatchInterrupt();
  const auto context = common.MakeContext();
  Trainer trainer(*context, directory, job);
  NotePlan(trainer.plan(), job.model, directory.path());
  Terminal terminal(*context, job, flags, trainer.plan());
  const TrainingResult result = trainer.Run(terminal, &stop);
  terminal.Finish();
  if (!result.interrupted && export_dtype != DType::kF32) {
    SaveCheckpoint(directory.path(), job.model, trainer.weights(), job.tokenizer.get(), export_dtype);
  }

  const double peak_rss_gb = static_cast<double>(PeakRssBytes()) / 1e9;
  if (common.json) {
    PrintJson({{"val_loss", result.val_loss ? OrderedJson(*result.val_loss) : OrderedJson(nullptr)},
               {"train_loss", result.train_loss},
               {"steps", result.steps},
               {"tokens_per_s", result.tokens_per_s},
               {"peak_rss_gb", peak_rss_gb}});
  } else {
    Print(fmt::format("{} steps: training loss {:.4f}{}, {} tokens/s, peak memory {:.2f} GB; the model is in {}\n",
                      result.steps, result.train_loss,
                      result.val_loss ? fmt::format(", validation loss {:.4f}", *result.val_loss) : "",
                      HumanRate(result.tokens_per_s), peak_rss_gb, flags.out));
  }
  return result.interrupted ? kInterrupted : 0;
}

}  // namespace

void AddTrain(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  Flags& f = *flags;
  CLI::App* command = AddCommand(
      app, common,
      {"train", "Train a model from text", "kinetok train --data shakespeare.txt --preset nano-char-cpu --out out"},
      [flags, &common] { return Train(common, *flags); });
  f.command = command;
  command->add_option("--data", f.data, "Text files or folders, UTF-8")->group("Data");
  command->add_option("--val-data", f.val_data, "Held-out text; default: the end of --data")->group("Data");
  command->add_option("--val-fraction", f.val_fraction, "The share of --data that is held out")->group("Data");
  command
      ->add_option("--tokenizer", f.tokenizer, "A tokenizer.json or its folder; char or bpe:SIZE make one from --data")
      ->group("Data");
  command->add_option("--document-separator", f.separator, "What ends a document: none, file, line or blank-line")
      ->capture_default_str()
      ->group("Data");
  command
      ->add_flag("--parse-special,!--no-parse-special", f.parse_special,
                 "Special tokens written in the text, such as <|endoftext|>, become their ids (default)")
      ->group("Data");

  command->add_option("--out", f.out, "The run's directory; a run that is there is resumed")->group("Run");
  command->add_flag("--restart", f.restart, "Start over where a run is there")->group("Run");
  command->add_option("--config", f.config, "A JSON object of flags by their long names; the command line wins")
      ->group("Run");
  command->add_option("--export-dtype", f.export_dtype, "Type of the finished weights: f32, bf16 or f16")
      ->capture_default_str()
      ->group("Run");
  command->add_option("--sample-prompt", f.sample_prompt, "What samples begin with")->group("Run");
  command->add_option("--sample-tokens", f.sample_tokens, "How long samples are")
      ->check(CLI::Range(1, 1 << 20))
      ->group("Run");
  VisitTrainConfig(f.train, [command]<class T>(const char* name, T& field, const char* help) {
    const std::string flag = std::string("--") + name;
    if constexpr (std::is_same_v<T, bool>) {
      command->add_flag(flag, field, help)->group("Training");
    } else {
      command->add_option(flag, field, help)->group("Training");
    }
  });

  command
      ->add_option("--preset", f.preset,
                   "Model and training defaults: " + fmt::format("{}", fmt::join(PresetNames(), ", ")))
      ->group("Model");
  command->add_option("--architecture", f.architecture, "gpt2 or llama, sized by the flags below")
      ->check(CLI::IsMember({"gpt2", "llama"}))
      ->group("Model");
  command->add_option("--model-config", f.model_config, "A config.json in place of a preset")->group("Model");
  VisitModelFlags(f.model, [command](const char* name, int64_t& field, const char* help) {
    command->add_option(std::string("--") + name, field, help)
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
        ->group("Model");
  });
  command->add_option("--dropout", f.dropout, "Of embeddings, attention and residuals")->group("Model");
  command->add_flag("--bias,!--no-bias", f.bias, "Biases in projections and norms")->group("Model");
  command->add_flag("--tie-word-embeddings,!--no-tie-word-embeddings", f.tie, "One matrix for embedding and head")
      ->group("Model");
}

}  // namespace kinetok::cli
