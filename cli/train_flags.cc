#include "cli/train_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <type_traits>

#include "kinetok/base/file.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/presets.h"
#include "kinetok/text/tokenizer_trainer.h"

namespace kinetok::cli {
namespace {

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

struct Bounds {
  int64_t low = std::numeric_limits<int64_t>::min(), high = std::numeric_limits<int64_t>::max();
};

// What a value is read as: CLI11 takes "010" for 8, wraps a negative seed, and rounds a decimal number twice.
template <class T>
T ParseNumber(const std::string& flag, const std::string& text, Bounds bounds) {
  constexpr bool kWhole = std::is_integral_v<T>;
  std::conditional_t<kWhole, int64_t, double> value{};
  const char* end = text.data() + text.size();
  const auto [at, fault] = std::from_chars(text.data(), end, value);
  const bool within = !kWhole || (value >= static_cast<decltype(value)>(bounds.low) &&
                                  value <= static_cast<decltype(value)>(bounds.high));
  if (fault == std::errc() && at == end && within) return static_cast<T>(value);
  const bool bounded = bounds.low != Bounds().low;
  throw UsageError(
      fmt::format("{} is {}; it must be a {}number{}", flag,
                  fault == std::errc::invalid_argument || at != end ? '"' + text + '"' : text, kWhole ? "whole " : "",
                  bounded                                   ? fmt::format(" from {} to {}", bounds.low, bounds.high)
                  : fault == std::errc::result_out_of_range ? kWhole ? " of at most 18 digits" : " that a double holds"
                                                            : ""));
}

template <class T>
CLI::Option* AddNumber(CLI::App* command, const std::string& flag, T& field, const std::string& help,
                       Bounds bounds = {}) {
  const auto read = [&field, flag, bounds](const std::string& text) { field = ParseNumber<T>(flag, text, bounds); };
  return command->add_option_function<std::string>(flag, read, help)
      ->type_name(std::is_integral_v<T> ? "INT" : "FLOAT");
}

void AddDataFlags(CLI::App* command, TrainFlags& f) {
  command
      ->add_option("--data", f.data,
                   "Files or folders: text (UTF-8), questions with answers (.jsonl lines of prompt, completion and "
                   "perhaps image), robots' demonstrations (.hdf5)")
      ->group("Data");
  AddTexts(command, "--data-weights", f.data_weights,
           "KIND=SHARE of the examples, once a kind: text, completions, demonstrations; default: as many as there are")
      ->group("Data");
  command
      ->add_option("--image-augmentation", f.augmentation,
                   "Of demonstrations: none, openvla (crop of 90% and colours) or color")
      ->capture_default_str()
      ->group("Data");
  f.images.Add(command, "Data");
  AddNumber(command, "--demonstrations", f.demonstrations,
            "Train on the first so many demonstrations of each file; default: all but the held-out ones", {1, 1 << 30})
      ->group("Data");
  command->add_option("--camera", f.camera, "The images of a demonstration; default: agentview_rgb")->group("Data");
  command
      ->add_option("--dataset-name", f.dataset_name,
                   "The unnorm_key of the demonstrations' statistics; default: the first file's name")
      ->group("Data");
  command->add_option("--val-data", f.val_data, "Held-out text; default: the end of --data")->group("Data");
  AddNumber(command, "--val-fraction", f.val_fraction, "The share of --data that is held out; default: 0.1")
      ->group("Data");
  if (!f.finetune) {
    command
        ->add_option("--tokenizer", f.tokenizer,
                     "A tokenizer.json or its folder; char or bpe:SIZE make one from --data")
        ->group("Data");
  }
  command->add_option("--document-separator", f.separator, "What ends a document: none, file, line or blank-line")
      ->capture_default_str()
      ->group("Data");
  command
      ->add_flag("--parse-special,!--no-parse-special", f.parse_special,
                 "Special tokens written in the text, such as <|endoftext|>, become their ids (default)")
      ->group("Data");
}

void AddRunFlags(CLI::App* command, TrainFlags& f) {
  command->add_option("--out", f.out, "The run's directory")->group("Run");
  CLI::Option* resume =
      command->add_flag("--resume", f.resume, "Go on where a run in --out stopped, or begin one (default)")
          ->group("Run");
  command->add_flag("--restart", f.restart, "Start over where a run is there")->excludes(resume)->group("Run");
  command->add_option("--config", f.config, "A JSON object of flags by their long names; the command line wins")
      ->group("Run");
  command->add_option("--export-dtype", f.export_dtype, "Type of the finished weights: f32, bf16 or f16")
      ->capture_default_str()
      ->group("Run");
  command->add_option("--sample-prompt", f.sample_prompt, "What samples begin with")->group("Run");
  AddNumber(command, "--sample-tokens", f.sample_tokens, "How long samples are; default: 200", {1, 1 << 20})
      ->group("Run");
}

void AddModelFlags(CLI::App* command, TrainFlags& f) {
  if (f.finetune) {
    command->add_option("--model", f.base, "The model to begin with: its weights, configuration and tokenizer")
        ->group("Model");
    AddNumber(command, "--dropout", f.dropout, "Of embeddings, attention and residuals")->group("Model");
    AddNumber(command, "--lora-rank", f.lora_rank,
              "Train a LoRA adapter of this rank and leave the weights as they are", {1, 4096})
        ->group("Model");
    AddNumber(command, "--lora-alpha", f.lora_alpha, "The adapter counts alpha / rank; default: the rank, at most 16")
        ->group("Model");
    AddTexts(command, "--lora-targets", f.lora_targets,
             "Modules that are adapted, by the end of their names (q_proj), once each; default: all-linear")
        ->group("Model");
    return;
  }
  command
      ->add_option("--preset", f.preset,
                   "Model and training defaults: " + fmt::format("{}", fmt::join(PresetNames(), ", ")))
      ->group("Model");
  command->add_option("--architecture", f.architecture, "gpt2 or llama, sized by the flags below")
      ->check(CLI::IsMember({"gpt2", "llama"}))
      ->group("Model");
  command->add_option("--model-config", f.model_config, "A config.json in place of a preset")->group("Model");
  VisitModelFlags(f.model, [command](const char* name, int64_t& field, const char* help) {
    AddNumber(command, std::string("--") + name, field, help, {1, int64_t{1} << 40})->group("Model");
  });
  AddNumber(command, "--dropout", f.dropout, "Of embeddings, attention and residuals")->group("Model");
  command->add_flag("--bias,!--no-bias", f.bias, "Biases in projections and norms")->group("Model");
  command->add_flag("--tie-word-embeddings,!--no-tie-word-embeddings", f.tie, "One matrix for embedding and head")
      ->group("Model");
}

CLI::Option* OptionOfKey(const TrainFlags& flags, const std::string& key) {
  CLI::Option* option = flags.command->get_option_no_throw("--" + key);
  if (option != nullptr && key != "config" && key != "help") return option;
  std::vector<std::string> names;
  for (const CLI::Option* o : flags.command->get_options()) {
    names.insert(names.end(), o->get_lnames().begin(), o->get_lnames().end());
  }
  const std::string near = NearestName(key, names);
  Fail("{}: \"{}\" is no flag of {}{}", flags.config, key, flags.finetune ? "finetune" : "train",
       near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
}

// As if the command line had said it.
void GiveOption(CLI::Option* option, const std::string& key, const Json& value) {
  if (option->get_expected_max() == 0) {  // a flag without a value, perhaps by its negative name
    if (!value.is_boolean()) throw UsageError(fmt::format("{} is {}; it must be true or false", key, Shorten(value)));
    option->add_result(option->get_flag_value(key, value.get<bool>() ? "true" : "false"));
  } else {
    for (const Json& v : value.is_array() ? value : Json::array({value})) {
      option->add_result(v.is_string() ? v.get<std::string>() : v.dump());
    }
  }
  option->run_callback();
}

// What errors call the configuration that --model-config gives; empty without one.
std::string ModelConfigSource(const TrainFlags& flags) {
  if (!flags.model_config.starts_with('{')) return flags.model_config;
  return flags.config.empty() ? "--model-config" : flags.config + ": model-config";  // of a train_config.json
}

struct BaseModel {
  ModelConfig config;
  std::string source;  // ModelConfigSource
};

BaseModel ResolveBaseModel(const TrainFlags& flags) {
  BaseModel base{{}, ModelConfigSource(flags)};
  std::string what = base.source;
  if (!base.source.empty()) {
    if (!flags.preset.empty()) throw UsageError("--model-config and --preset both name a model; give one");
    const bool inside = flags.model_config.starts_with('{');
    base.config = inside ? ParseModelConfig(ParseJson(flags.model_config, base.source), base.source)
                         : LoadModelConfig(flags.model_config);
  } else if (!flags.preset.empty()) {
    base.config = PresetFlag(flags.preset);
    what = "the preset " + flags.preset;
  } else {
    const std::string& kind = flags.architecture;
    base.config = Preset(kind == "llama" ? "tiny-llama" : kind == "gpt2" ? "tiny" : "nano-char-cpu");
  }
  if (!what.empty() && !flags.architecture.empty() && base.config.model_type != flags.architecture) {
    throw UsageError(fmt::format("--architecture is {}, {} is a {}; give one of them", flags.architecture, what,
                                 base.config.model_type));
  }
  return base;
}

// The fields that follow from others unless their own flag was given.
void DeriveSizes(const TrainFlags& flags, const ModelConfig& base, ModelConfig* c) {
  if (flags.Given("hidden-size") || flags.Given("num-attention-heads")) {
    if (c->hidden_size % c->num_attention_heads != 0) {
      throw UsageError(fmt::format("--hidden-size is {}; it must be a multiple of the {} attention heads",
                                   c->hidden_size, c->num_attention_heads));
    }
    c->head_dim = c->hidden_size / c->num_attention_heads;
  }
  if (c->num_attention_heads != base.num_attention_heads && !flags.Given("num-key-value-heads")) {
    c->num_key_value_heads = c->num_attention_heads;
  }
  if (c->hidden_size != base.hidden_size && !flags.Given("intermediate-size")) {
    c->intermediate_size = c->gated_mlp ? (c->hidden_size * 8 / 3 + 31) / 32 * 32 : 4 * c->hidden_size;
  }
}

void CheckContext(const TrainFlags& flags, const std::string& source, const ModelConfig& c, const TrainConfig& train) {
  if (c.max_position_embeddings >= train.block_size) return;
  if (!flags.finetune && flags.Given("max-position-embeddings")) {
    throw UsageError(fmt::format("--max-position-embeddings is {}; it must be at least {}, the block-size",
                                 c.max_position_embeddings, train.block_size));
  }
  throw UsageError(fmt::format(
      "--block-size is {}; it must be at most {}, the {} of {}{}", train.block_size, c.max_position_embeddings,
      c.model_type == "gpt2" || c.model_type == "openai-gpt" ? "n_positions" : "max_position_embeddings", source,
      flags.finetune ? "" : " (--max-position-embeddings overrides it)"));
}

void CheckModel(const ModelConfig& c) {
  CheckFlags([&c] {
    try {
      c.Check("model");
    } catch (const Error& e) {
      const std::string_view message = e.what();
      throw Error(std::string(message.starts_with("model: ") ? message.substr(7) : message));
    }
  });
}

}  // namespace

void AddTrainFlags(CLI::App* command, TrainFlags& f) {
  f.command = command;
  AddDataFlags(command, f);
  AddRunFlags(command, f);
  VisitTrainConfig(f.train, [command]<class T>(const char* name, T& field, const char* help) {
    const std::string flag = std::string("--") + name;
    CLI::Option* option = nullptr;
    if constexpr (std::is_same_v<T, bool>) {
      option = command->add_flag(flag, field, help);
    } else if constexpr (std::is_same_v<T, std::string>) {
      option = command->add_option(flag, field, help);
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      option = AddNumber(command, flag, field, help, {0, Bounds().high});
    } else {
      option = AddNumber(command, flag, field, help);
    }
    option->group("Training");
  });
  AddModelFlags(command, f);
}

void ApplyConfigFile(TrainFlags& flags) {
  const Json json = ParseJson(ReadFile(flags.config), flags.config);
  const JsonObject object(json, flags.config);
  std::set<const CLI::Option*> typed;  // on the command line
  for (const CLI::Option* option : flags.command->get_options()) {
    if (option->count() > 0) typed.insert(option);
  }
  for (const auto& [key, value] : object.json().items()) {
    // What a saved train_config.json says beside the flags.
    if (key == "train-data" || key == "validation-data" || key == "model-weights" || value.is_null()) continue;
    if (key == "model-config" && flags.finetune) continue;
    CLI::Option* option = OptionOfKey(flags, key);
    const std::set<CLI::Option*> excluded = option->get_excludes();
    if (typed.contains(option) || std::ranges::any_of(excluded, [&](auto* o) { return typed.contains(o); })) continue;
    if (option->count() > 0) Fail("{}: \"{}\" gives a flag that another key gave already", flags.config, key);
    try {
      GiveOption(option, key, value);
    } catch (const CLI::Error& e) {
      Fail("{}: {} is {}: {}", flags.config, key, Shorten(value), e.what());
    } catch (const UsageError& e) {
      const std::string_view message = e.what();
      Fail("{}: {}", flags.config, message.starts_with("--") ? message.substr(2) : message);
    }
  }
  if (flags.resume && flags.restart) Fail("{}: resume and restart exclude each other", flags.config);
}

TokenizerSource ResolveTokenizerSource(const TrainFlags& flags) {
  using Kind = TokenizerSource::Kind;
  if (flags.finetune) return {Kind::kFile, flags.base};
  std::string text = flags.tokenizer;
  if (text.empty() && flags.preset.starts_with("tiny")) text = "bpe:512";
  if (text.empty() && (flags.preset.empty() || flags.preset.starts_with("nano-char"))) text = "char";
  if (text.empty()) {
    throw UsageError("--tokenizer is missing: a tokenizer.json, a folder that holds one, char, or bpe:SIZE");
  }
  if (text == "char") return {Kind::kCharacters, text};
  if (!text.starts_with("bpe:")) return {Kind::kFile, text};
  TokenizerSource source{Kind::kBpe, text};
  const char* end = text.data() + text.size();
  const auto [at, fault] = std::from_chars(text.data() + 4, end, source.vocab_size);
  if (fault != std::errc() || at != end) {
    throw UsageError(fmt::format("--tokenizer is \"{}\"; the size of bpe:SIZE must be a whole number", text));
  }
  try {
    const BytesBpeTrainer check({.vocab_size = source.vocab_size});
  } catch (const Error& e) {
    throw UsageError(fmt::format("--tokenizer is \"{}\": {}", text, e.what()));
  }
  return source;
}

std::optional<LoraOptions> ResolveLora(const TrainFlags& flags) {
  if (flags.lora_rank == 0) {
    if (flags.finetune && (flags.Given("lora-alpha") || flags.Given("lora-targets"))) {
      throw UsageError("--lora-rank is missing: without it every weight is trained");
    }
    return std::nullopt;
  }
  LoraOptions options{.rank = flags.lora_rank, .alpha = static_cast<double>(std::min<int64_t>(flags.lora_rank, 16))};
  if (flags.Given("lora-alpha")) options.alpha = flags.lora_alpha;
  if (!flags.lora_targets.empty()) options.targets = flags.lora_targets;
  CheckFlags([&] { options.Check(); });
  return options;
}

DType ResolveExportDType(const TrainFlags& flags) {
  try {
    return ParseDType(flags.export_dtype);
  } catch (const Error& e) {
    throw UsageError(fmt::format("--export-{}", e.what()));
  }
}

TrainConfig ResolveTraining(const TrainFlags& flags) {
  TrainConfig config = TrainPreset(flags.preset);
  if (flags.finetune) {  // as OpenVLA is fine-tuned
    config.schedule = "constant";
    config.learning_rate = config.min_learning_rate = 2e-5;
    config.warmup_steps = 0;
    config.optimizer.weight_decay = 0;
    config.optimizer.beta2 = 0.999;
  }
  VisitTrainConfig(config, [&flags]<class T>(const char* name, T& field, const char*) {
    if (!flags.Given(name)) return;
    VisitTrainConfig(flags.train, [&]<class U>(const char* other, const U& value, const char*) {
      if constexpr (std::is_same_v<T, U>) {
        if (std::string_view(name) == other) field = value;
      }
    });
  });
  if (flags.Given("learning-rate") && !flags.Given("min-learning-rate")) {
    config.min_learning_rate = config.learning_rate / 10;
  }
  CheckFlags([&config] { config.Check(); });
  return config;
}

ModelConfig ResolveModel(const TrainFlags& flags, const TrainConfig& train) {
  if (flags.finetune) {
    ModelConfig config = ModelFiles(flags.base).config();
    RequireNextToken(config, "finetune");
    if (flags.Given("dropout")) config.embd_pdrop = config.attn_pdrop = config.resid_pdrop = flags.dropout;
    CheckContext(flags, flags.base, config, train);
    CheckModel(config);
    return config;
  }
  const BaseModel base = ResolveBaseModel(flags);
  ModelConfig c = base.config;
  if (base.source.empty()) c.max_position_embeddings = train.block_size;  // a preset leaves it open
  VisitModelFlags(c, [&flags](const char* name, int64_t& field, const char*) {
    if (!flags.Given(name)) return;
    ModelConfig given = flags.model;
    VisitModelFlags(given, [&](const char* other, int64_t value, const char*) {
      if (std::string_view(name) == other) field = value;
    });
  });
  DeriveSizes(flags, base.config, &c);
  CheckContext(flags, base.source, c, train);
  if (flags.Given("dropout")) {
    if (!(flags.dropout >= 0 && flags.dropout < 1)) {
      throw UsageError(fmt::format("--dropout is {}; it must be at least 0 and below 1", flags.dropout));
    }
    c.embd_pdrop = c.attn_pdrop = c.resid_pdrop = flags.dropout;
  }
  if (flags.Given("bias")) {
    if (c.model_type != "gpt2" && c.model_type != "llama") {
      throw UsageError(fmt::format("--bias is for gpt2 and llama; the biases of a {} are fixed", c.model_type));
    }
    c.attention_bias = c.attention_out_bias = c.mlp_bias = flags.bias;
    c.norm_bias = flags.bias && c.norm == Norm::kLayer;
  }
  if (flags.Given("tie-word-embeddings")) c.tie_word_embeddings = flags.tie;
  CheckModel(c);
  return c;
}

void FitTokenizer(const TrainFlags& flags, const Tokenizer& tokenizer, ModelConfig* c) {
  if (flags.finetune) return CheckTokenizer(flags.base, tokenizer, *c);
  const bool given = flags.Given("vocab-size");
  const std::string source = ModelConfigSource(flags);
  if (!given && source.empty()) c->vocab_size = tokenizer.vocab_size();  // a preset leaves it open
  if (c->vocab_size < tokenizer.vocab_size()) {
    if (!given) {
      Fail("{}: vocab_size is {}, expected at least {}, the size of the tokenizer (--vocab-size overrides it)", source,
           c->vocab_size, tokenizer.vocab_size());
    }
    throw UsageError(fmt::format("--vocab-size is {}; it must be at least {}, the size of the tokenizer", c->vocab_size,
                                 tokenizer.vocab_size()));
  }
  c->bos_token_id = tokenizer.bos_id();
  c->eos_token_ids.clear();
  if (const auto eos = tokenizer.eos_id()) c->eos_token_ids.push_back(*eos);
  CheckModel(*c);
}

}  // namespace kinetok::cli
