#include "cli/train_data.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iostream>

#include "cli/cli.h"
#include "cli/progress.h"
#include "kinetok/base/file.h"
#include "kinetok/train/completion_examples.h"
#include "kinetok/train/text_examples.h"
#include "kinetok/vla/action_score.h"
#include "kinetok/vla/demonstration_examples.h"
#include "kinetok/vla/policy_config.h"

namespace kinetok::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kText = "text";
constexpr const char* kCompletions = "completions";
constexpr const char* kDemonstrations = "demonstrations";

// The texts as tokens.
DataSplit ResolveText(const TrainFlags& flags, const std::vector<fs::path>& files, DocumentSeparator separator,
                      const Tokenizer& tokenizer, RunDirectory& directory) {
  TokeniseOptions options;
  options.separator = separator;
  options.parse_special = flags.parse_special;
  const auto tokenise = [&](const std::vector<fs::path>& from, const std::string& name) {
    const fs::path kept = directory.path() / name;
    if (auto same = FindTokens(from, tokenizer, options, kept)) return same;
    std::error_code error;
    fs::create_directories(kept.parent_path(), error);
    if (error) Fail("{}: cannot be created: {}", kept.parent_path().string(), error.message());
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
    return TokeniseFiles(from, tokenizer, options, fs::exists(kept) ? directory.Stage(name) : kept);
  };
  const auto train = tokenise(files, "data/train.tokens");
  if (flags.val_data.empty()) return SplitTokens(train, flags.val_fraction);
  const auto held_out = tokenise(CollectFiles({flags.val_data.begin(), flags.val_data.end()}, directory.path()),
                                 "data/validation.tokens");
  if (held_out->size() < 2) {
    Fail(
        "the validation data (--val-data) has {} tokens, expected at least 2; without it, a part of --data is held out",
        held_out->size());
  }
  return {{train, 0, train->size()}, {held_out, 0, held_out->size()}};
}

// --data-weights by kind; empty when it was not given.
std::map<std::string, double> ResolveWeights(const TrainFlags& flags, const std::vector<std::string>& kinds) {
  std::map<std::string, double> weights;
  for (const std::string& text : flags.data_weights) {
    const size_t equals = text.find('=');
    const std::string kind = text.substr(0, equals);
    double share = 0;
    const char* end = text.data() + text.size();
    const char* number = equals == std::string::npos ? end : text.data() + equals + 1;
    const auto [at, fault] = std::from_chars(number, end, share);
    if (fault != std::errc() || at != end || !(share > 0)) {
      throw UsageError(fmt::format("--data-weights is \"{}\"; it must be KIND=SHARE with a positive share", text));
    }
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
      throw UsageError(fmt::format("--data-weights names \"{}\"; the data has {}", kind, fmt::join(kinds, ", ")));
    }
    if (!weights.emplace(kind, share).second) {
      throw UsageError(fmt::format("--data-weights names \"{}\" twice", kind));
    }
  }
  for (const std::string& kind : kinds) {
    if (!weights.empty() && !weights.contains(kind)) {
      throw UsageError(fmt::format("--data-weights leaves out \"{}\", of which the data has some", kind));
    }
  }
  return weights;
}

// How the model reads images: as the flags say, else as the model that it begins with does, else as its towers are
// known to. Random crops of a model that sees the middle of an image alone when it acts stand in for that crop.
ImageProcessor ResolveImages(const TrainFlags& flags, const ModelConfig& model, const Augmentation& augmentation) {
  ImageProcessorConfig config = flags.finetune
                                    ? ReadImageProcessorConfig(fs::path(flags.base) / "preprocessor_config.json")
                                    : DefaultImages(model);
  flags.images.Apply(config);
  if (augmentation.crop_area > 0 && config.preset == ImagePreset::kTensorflowEval) {
    config.tensorflow_eval.center_crop = true;
  } else if (augmentation.crop_area > 0) {
    Note(
        "images are cropped at random here and not at all when the policy acts; --image-preset tensorflow-eval acts on "
        "the middle of them, as OpenVLA's evaluation does\n");
  }
  return ImageProcessor(config);
}

bool BeginsAsHdf5(const fs::path& file) {
  constexpr std::string_view kSignature("\x89HDF\r\n\x1a\n", 8);
  std::string start(kSignature.size(), '\0');
  std::ifstream in(file, std::ios::binary);
  return in.read(start.data(), static_cast<std::streamsize>(start.size())) && start == kSignature;
}

// What a policy learns without demonstrations leaves what its actions mean as it was.
void KeepStatistics(const TrainFlags& flags, TrainingSources* out) {
  constexpr const char* kName = "dataset_statistics.json";
  const fs::path file = fs::path(flags.base) / kName;
  if (flags.finetune && fs::exists(file)) out->files[kName] = ReadFile(file);
}

// Gives each source of a kind its part of the kind's share.
void AddShares(std::vector<std::shared_ptr<const ExampleSource>> sources, const std::map<std::string, double>& weights,
               const std::string& kind, std::vector<DataShare>* shares) {
  double examples = 0;
  for (const auto& source : sources) examples += static_cast<double>(std::max<int64_t>(source->examples(), 1));
  for (auto& source : sources) {
    const double own = static_cast<double>(std::max<int64_t>(source->examples(), 1));
    shares->push_back({std::move(source), weights.empty() ? own : weights.at(kind) * own / examples});
  }
}

}  // namespace

DataFiles SortFiles(const std::vector<fs::path>& files) {
  DataFiles out;
  for (const fs::path& file : files) {
    std::string extension = file.extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : static_cast<char>(c);
    });
    if (extension == ".hdf5" || extension == ".h5" || extension == ".hdf" || BeginsAsHdf5(file)) {
      out.demonstrations.push_back(file);
    } else if (extension == ".jsonl") {
      out.completions.push_back(file);
    } else if (extension == ".json") {
      Fail("{}: is JSON; expected .jsonl, a line {{\"prompt\", \"completion\"}} for each question, or text (.txt)",
           file.string());
    } else {
      out.text.push_back(file);
    }
  }
  return out;
}

TrainingSources ResolveSources(const TrainFlags& flags, const DataFiles& files, DocumentSeparator separator,
                               const std::shared_ptr<const Tokenizer>& tokenizer, const ModelConfig& model,
                               int64_t block_size, RunDirectory& directory) {
  std::vector<std::string> kinds;
  if (!files.text.empty()) kinds.emplace_back(kText);
  if (!files.completions.empty()) kinds.emplace_back(kCompletions);
  if (!files.demonstrations.empty()) kinds.emplace_back(kDemonstrations);
  const std::map<std::string, double> weights = ResolveWeights(flags, kinds);
  const std::string camera = flags.camera.empty() ? std::string(kDefaultCamera) : flags.camera;

  TrainingSources out;
  if (files.text.empty() && !flags.val_data.empty()) {
    throw UsageError("--val-data is held-out text, and --data has no text; --val-fraction holds out the other kinds");
  }
  if (!files.text.empty()) {
    AddShares(
        {std::make_shared<TextExamples>(ResolveText(flags, files.text, separator, *tokenizer, directory), block_size)},
        weights, kText, &out.shares);
  }
  std::optional<ImageProcessor> images;
  DemonstrationOptions options{.held_out = flags.val_fraction, .limit = flags.demonstrations, .camera = camera};
  CheckFlags([&] { options.augmentation = ParseAugmentation(flags.augmentation); });
  if (model.towers.empty() && flags.images.given()) throw UsageError("--image-preset is for models with vision towers");
  if (!model.towers.empty()) {
    images.emplace(ResolveImages(flags, model, options.augmentation));
    out.files["preprocessor_config.json"] = ImageProcessorConfigToJson(images->config()).dump(2) + "\n";
  }
  if (!files.demonstrations.empty() && !images) {
    Fail("{}: holds a robot's demonstrations, the model (of type {}) sees no images; expected one with vision towers",
         files.demonstrations.front().string(), model.model_type);
  }
  const bool answers = !files.completions.empty() || !files.demonstrations.empty();
  if (answers && model.eos_token_ids.empty()) {
    Fail("the model has no end-of-text token (eos_token_id), which ends completions and actions");
  }
  const int32_t eos = answers ? model.eos_token_ids.front() : 0;
  DemonstrationFiles opened(camera);  // several files of lines may be about the same pictures
  std::vector<std::shared_ptr<const ExampleSource>> completions;
  for (const fs::path& file : files.completions) {
    completions.push_back(std::make_shared<CompletionExamples>(
        file, tokenizer, images ? &*images : nullptr, model.ImagePatches(),
        CompletionOptions{.held_out = flags.val_fraction, .eos = eos, .demonstrations = &opened}));
  }
  AddShares(std::move(completions), weights, kCompletions, &out.shares);
  if (images) out.settings["camera"] = camera;
  if (files.demonstrations.empty()) {
    if (images) KeepStatistics(flags, &out);
    return out;
  }

  const PolicyConfig policy(model, flags.finetune ? fs::path(flags.base) : directory.path());
  out.actions = policy.actions;
  auto demonstrations = std::make_shared<DemonstrationExamples>(
      files.demonstrations,
      PolicyFormat{tokenizer, policy.actions, policy.separator, policy.style, eos, model.ImagePatches(), *images},
      options);
  const std::string name =
      flags.dataset_name.empty() ? files.demonstrations.front().stem().string() : flags.dataset_name;
  const ActionStatistics& statistics = demonstrations->statistics();
  out.files["dataset_statistics.json"] = StatisticsToJson(name, statistics).dump(2) + "\n";
  out.settings["dataset-name"] = name;
  out.varying_actions = VaryingDimensions(statistics);
  AddShares({std::move(demonstrations)}, weights, kDemonstrations, &out.shares);
  return out;
}

}  // namespace kinetok::cli
