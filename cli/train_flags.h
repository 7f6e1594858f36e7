// The flags of `kinetok train` and `kinetok finetune`, on the command line or in a --config file, and what they decide
// together.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/cli.h"
#include "cli/image_preset_flags.h"
#include "kinetok/model/config.h"
#include "kinetok/model/lora.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/train/train_config.h"

namespace kinetok::cli {

struct TrainFlags {
  CLI::App* command = nullptr;
  bool finetune = false;  // begins with the weights of `base`, and takes its configuration and tokenizer
  std::string base;
  std::vector<std::string> data, val_data, data_weights;
  std::string augmentation = "none", camera, dataset_name;
  ImagePresetFlags images;
  int64_t demonstrations = 0;
  int64_t lora_rank = 0;  // 0: every weight is trained
  double lora_alpha = 0;
  std::vector<std::string> lora_targets;
  std::string config, preset, architecture, model_config, tokenizer, out, separator = "file", export_dtype = "f32";
  std::string sample_prompt;
  double val_fraction = 0.1, dropout = 0;
  int64_t sample_tokens = 200;
  bool resume = false, restart = false, parse_special = true, bias = true, tie = true;
  ModelConfig model;  // only the fields whose flag was given count, and so for `train`
  TrainConfig train;

  bool Given(const std::string& name) const { return command->get_option("--" + name)->count() > 0; }
};

void AddTrainFlags(CLI::App* command, TrainFlags& flags);  // those of finetune when flags.finetune

// Gives the values of the --config file to the flags that the command line left out. Throws Error naming the file and
// the key.
void ApplyConfigFile(TrainFlags& flags);

// Where the tokenizer comes from.
struct TokenizerSource {
  enum class Kind { kFile, kCharacters, kBpe };  // the last two are made from the data
  Kind kind = Kind::kFile;
  std::string text;        // as --tokenizer says it
  int32_t vocab_size = 0;  // of kBpe
};

// Each throws UsageError naming the flag that is out of range or contradicts another.
TokenizerSource ResolveTokenizerSource(const TrainFlags& flags);
TrainConfig ResolveTraining(const TrainFlags& flags);
std::optional<LoraOptions> ResolveLora(const TrainFlags& flags);
DType ResolveExportDType(const TrainFlags& flags);
ModelConfig ResolveModel(const TrainFlags& flags, const TrainConfig& train);

// Gives the model the tokenizer's vocabulary and special tokens. A vocabulary that was given stays: UsageError, or
// Error naming the file of --model-config, when it is too small.
void FitTokenizer(const TrainFlags& flags, const Tokenizer& tokenizer, ModelConfig* model);

}  // namespace kinetok::cli
