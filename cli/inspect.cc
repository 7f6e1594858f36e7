// kinetok inspect: what a model directory, a GGUF or a safetensors file holds. Weights are not read.

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

constexpr int64_t kLongestArray = 8;  // of GGUF metadata that is shown whole; longer ones are told by their length

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

// Whether `path` is a whole model: a directory or a GGUF file, not a single file of tensors.
bool IsModel(const std::filesystem::path& path) {
  return std::filesystem::is_directory(path) || path.extension() == ".gguf" || IsGguf(path);
}

// What is known of a GGUF file whose architecture or types cannot be run: everything but what they mean.
OrderedJson Describe(const Checkpoint& checkpoint) {
  int64_t elements = 0;
  for (const TensorData& t : checkpoint.tensors()) elements += t.info->elements();
  return {{"architecture", nullptr},
          {"config", nullptr},
          {"parameters", elements},
          {"tensors", TensorsToJson(checkpoint)},
          {"unread", Json::array()}};
}

OrderedJson Describe(const ModelFiles& files) {
  const std::filesystem::path& path = files.checkpoint().path();
  OrderedJson out;
  out["architecture"] = files.config().model_type;
  if (files.checkpoint().gguf() != nullptr) {
    out["config"] = ModelConfigToJson(files.config(), HuggingFaceDType(files.tensors().found[0]->RequireType()));
  } else {
    const std::filesystem::path file = path / "config.json";  // GPT-1's first release has none
    out["config"] = std::filesystem::exists(file) ? OrderedJson(ParseJson(ReadFile(file), file.string()))
                                                  : ModelConfigToJson(files.config(), "float32");
  }
  out["parameters"] = files.parameters().parameters;
  out["tensors"] = TensorsToJson(files.checkpoint());
  out["unread"] = files.tensors().unread;
  return out;
}

int Inspect(const Common& common, const Flags& flags) {
  const std::filesystem::path path = RequireModel(flags.path.empty() ? flags.model : flags.path);
  if (!std::filesystem::exists(path)) Fail("{}: no such file or directory", path.string());
  if (flags.fingerprint && !IsModel(path)) {
    throw UsageError(fmt::format("--fingerprint needs a model; {} is a file of tensors", path.string()));
  }
  OrderedJson out;
  std::string table;
  int64_t bytes = 0;
  const auto describe = [&](const Checkpoint& checkpoint, const auto& what) {
    out = Describe(what);
    table = Table(checkpoint);
    bytes = checkpoint.bytes();
    if (checkpoint.gguf() != nullptr) out["metadata"] = checkpoint.gguf()->metadata().ToJson(kLongestArray);
  };
  std::string problem;  // why a GGUF file cannot be run; what it holds can be told all the same
  if (IsModel(path)) {
    try {
      const ModelFiles files(path);
      describe(files.checkpoint(), files);
    } catch (const Error& e) {
      if (std::filesystem::is_directory(path) || flags.fingerprint) throw;
      problem = e.what();
    }
  }
  if (out.is_null()) {
    const Checkpoint checkpoint(path);
    describe(checkpoint, checkpoint);
    if (!problem.empty()) out["problem"] = problem;
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
  std::string text = table + fmt::format("\n{:<14}{}\n", "parameters", out["parameters"].get<int64_t>());
  text += fmt::format("{:<14}{}\n", "bytes", bytes);
  if (out["architecture"].is_string()) {
    text += fmt::format("{:<14}{}\n", "architecture", out["architecture"].get<std::string>());
    text += fmt::format("{:<14}{}\n", "config", out["config"].dump());
    for (const auto& name : out["unread"]) text += fmt::format("{:<14}{}\n", "unread", name.get<std::string>());
  }
  if (out.contains("metadata")) {
    for (const auto& field : out["metadata"].items()) {
      text += fmt::format("{:<14}{} = {}\n", "metadata", field.key(), field.value().dump());
    }
  }
  if (!problem.empty()) text += fmt::format("{:<14}{}\n", "problem", problem);
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
  command->add_option("path", flags->path, "A model's directory, a .gguf or a .safetensors file");
  command->add_option("--model", flags->model, "The same, as other commands take it");
  command->add_flag("--fingerprint", flags->fingerprint,
                    "SHA-256 of the logits on a fixed prompt: the same on every machine");
}

}  // namespace kinetok::cli
