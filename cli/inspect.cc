// kinetok inspect: what a model directory or a safetensors file holds.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/cli.h"
#include "kinetok/base/file.h"
#include "kinetok/decode/logits.h"
#include "kinetok/io/checkpoint.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/model.h"
#include "kinetok/train/fingerprint.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string path, model;
  bool fingerprint = false;
};

OrderedJson TensorsToJson(const Checkpoint& checkpoint) {
  OrderedJson out = OrderedJson::array();
  for (const TensorData& t : checkpoint.tensors()) {
    out.push_back({{"name", t.info->name}, {"dtype", t.info->dtype}, {"shape", t.info->shape}});
  }
  return out;
}

std::string Table(const Checkpoint& checkpoint) {
  size_t width = 4;
  for (const TensorData& t : checkpoint.tensors()) width = std::max(width, t.info->name.size());
  std::string out = fmt::format("{:<{}}  {:<5}  {:>14}  shape\n", "name", width, "dtype", "bytes");
  for (const TensorData& t : checkpoint.tensors()) {
    out += fmt::format("{:<{}}  {:<5}  {:>14}  [{}]\n", t.info->name, width, t.info->dtype, t.info->bytes,
                       fmt::join(t.info->shape, ", "));
  }
  return out;
}

int Inspect(const Common& common, const Flags& flags) {
  const std::filesystem::path path = RequireModel(flags.path.empty() ? flags.model : flags.path);
  if (!std::filesystem::exists(path)) Fail("{}: no such file or directory", path.string());
  const bool is_model = std::filesystem::is_directory(path);
  if (flags.fingerprint && !is_model) {
    throw UsageError(fmt::format("--fingerprint needs a model's directory; {} is a file", path.string()));
  }
  const Checkpoint checkpoint(path);
  OrderedJson out;
  if (is_model) {
    const ModelConfig config = LoadDirectoryConfig(path);
    const ParameterList list(config);
    const MatchedTensors matched = MatchTensors(path, checkpoint, config, PublishedTensors(config, list));
    const Json published = ParseJson(ReadFile(path / "config.json"), (path / "config.json").string());
    out["architecture"] = config.model_type;
    out["config"] = published;
    out["parameters"] = list.parameters;
    out["tensors"] = TensorsToJson(checkpoint);
    out["unread"] = matched.unread;
  } else {
    int64_t elements = 0;
    for (const TensorData& t : checkpoint.tensors()) elements += t.info->elements();
    out = {{"architecture", nullptr},
           {"config", nullptr},
           {"parameters", elements},
           {"tensors", TensorsToJson(checkpoint)},
           {"unread", Json::array()}};
  }
  if (flags.fingerprint) {
    const auto context = common.MakeContext();
    const auto model = Model::Load(*context, path, {.dtype = {}, .tokenizer = TokenizerUse::kNone});
    out["fingerprint"] = Fingerprint(*context, *model);
    out["training_fingerprint"] = TrainingFingerprint(*context);
  }
  if (common.json) {
    PrintJson(out);
    return 0;
  }
  std::string text = Table(checkpoint) + fmt::format("\n{:<14}{}\n", "parameters", out["parameters"].get<int64_t>());
  text += fmt::format("{:<14}{}\n", "bytes", checkpoint.bytes());
  if (is_model) {
    text += fmt::format("{:<14}{}\n", "architecture", out["architecture"].get<std::string>());
    text += fmt::format("{:<14}{}\n", "config", out["config"].dump());
    for (const auto& name : out["unread"]) text += fmt::format("{:<14}{}\n", "unread", name.get<std::string>());
  }
  if (flags.fingerprint) {
    text += fmt::format("{:<14}{} (logits of this model)\n", "fingerprint", out["fingerprint"].get<std::string>());
    text += fmt::format("{:<14}{} (weights after {} training steps)\n", "",
                        out["training_fingerprint"].get<std::string>(), kFingerprintSteps);
  }
  Print(text);
  return 0;
}

}  // namespace

void AddInspect(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      AddCommand(app, common,
                 {"inspect", "Show a model's configuration and tensors", "kinetok inspect models/writer --fingerprint"},
                 [flags, &common] { return Inspect(common, *flags); });
  command->add_option("path", flags->path, "A model's directory, or a .safetensors file");
  command->add_option("--model", flags->model, "The same, as other commands take it");
  command->add_flag("--fingerprint", flags->fingerprint,
                    "SHA-256 of the logits on a fixed prompt: the same on every machine");
}

}  // namespace kinetok::cli
