// kinetok init: a random checkpoint in the published layout, streamed to disk.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>
#include <span>

#include "cli/cli.h"
#include "cli/image_preset_flags.h"
#include "kinetok/base/file.h"
#include "kinetok/base/memory.h"
#include "kinetok/io/safetensors.h"
#include "kinetok/model/assemble.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/parameters.h"
#include "kinetok/model/presets.h"
#include "kinetok/tensor/buffer.h"
#include "kinetok/vla/image_config.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string preset, model_config, decoder, dtype = "f32", out;
  uint64_t seed = 0;
  ImagePresetFlags images;
};

constexpr int64_t kPieceFloats = int64_t{1} << 22;  // held in memory at a time

// Rows [first, first + n) of the stored tensor, whose width is `width`.
void FillRows(Context& context, const ParameterList& list, const PublishedTensor& t, uint64_t seed, int64_t first,
              int64_t n, int64_t width, std::span<float> out) {
  const Parameter& p = list.all[static_cast<size_t>(t.parameter)];
  const int64_t columns = std::max<int64_t>(1, p.columns);
  if (!t.transposed) {
    const int64_t begin = (t.first_row + (p.is_matrix() ? first : 0)) * columns;
    ParallelFor(context, n * width, 1 << 14, [&](int64_t a, int64_t b, int) {
      InitializeParameter(list, t.parameter, seed, begin + a,
                          out.subspan(static_cast<size_t>(a), static_cast<size_t>(b - a)));
    });
    return;
  }
  ParallelFor(context, t.rows, 16, [&](int64_t a, int64_t b, int) {  // row r of the parameter is a column of the file
    std::vector<float> row(static_cast<size_t>(n));
    for (int64_t r = a; r < b; ++r) {
      InitializeParameter(list, t.parameter, seed, (t.first_row + r) * columns + first, row);
      for (int64_t i = 0; i < n; ++i) out[static_cast<size_t>(i * width + r)] = row[static_cast<size_t>(i)];
    }
  });
}

// Drawn tensor by tensor, straight to disk. Returns the file's size.
int64_t WriteRandom(const Common& common, const ModelConfig& config, const ParameterList& list, const Flags& flags,
                    DType dtype) {
  const std::filesystem::path dir = flags.out;
  const std::vector<PublishedTensor> tensors = PublishedTensors(config, list);
  std::map<std::string_view, const PublishedTensor*> by_name;
  std::vector<TensorSpec> specs;
  for (const PublishedTensor& t : tensors) {
    by_name[t.name] = &t;
    specs.push_back({t.name, dtype, t.shape});
  }

  const auto context = common.MakeContext();
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) Fail("{}: the directory cannot be made: {}", flags.out, error.message());
  SafetensorsWriter writer(dir / "model.safetensors", std::move(specs));
  std::vector<float> piece;
  for (const TensorSpec& spec : writer.tensors()) {
    const PublishedTensor& t = *by_name.at(spec.name);
    const int64_t elements = std::accumulate(t.shape.begin(), t.shape.end(), int64_t{1}, std::multiplies<>());
    // A shape of more dimensions is a matrix all the same: what convolves patches has a row a feature.
    const bool matrix = !t.transposed && t.parameter >= 0 && list.all[static_cast<size_t>(t.parameter)].is_matrix();
    const int64_t width = matrix ? list.all[static_cast<size_t>(t.parameter)].columns : t.shape.back();
    const int64_t stored_rows = elements / width;
    const int64_t step = std::max<int64_t>(1, kPieceFloats / std::max<int64_t>(1, width));
    for (int64_t first = 0; first < stored_rows; first += step) {
      const int64_t n = std::min(step, stored_rows - first);
      piece.assign(static_cast<size_t>(n * width), 0);
      if (!t.zero_filled) FillRows(*context, list, t, flags.seed, first, n, width, piece);
      writer.Write(t.name, std::span<const float>(piece));
    }
  }
  writer.Commit();
  SaveConfig(dir, config, dtype);
  return writer.file_bytes();
}

// A model with vision towers around somebody's decoder, in memory; its tokenizer comes along. Returns the file's size.
int64_t Assemble(const ModelConfig& config, const ParameterList& list, const Flags& flags, DType dtype) {
  const auto tokenizer = LoadTokenizer(flags.decoder);
  CheckTokenizer(flags.decoder, *tokenizer, config);
  RequireMemory(list.elements * 4, "this model");
  Buffer weights(list.elements * 4);
  InitializeParameters(list, flags.seed, weights.As<float>());
  TakeDecoder(flags.decoder, config, list, weights.As<float>());
  SaveCheckpoint(flags.out, config, weights.As<float>(), tokenizer.get(), dtype);
  return static_cast<int64_t>(std::filesystem::file_size(std::filesystem::path(flags.out) / "model.safetensors"));
}

int Init(const Common& common, const Flags& flags) {
  if (flags.out.empty()) throw UsageError("--out is missing: the directory to write");
  if (flags.preset.empty() == flags.model_config.empty()) {
    throw UsageError("expected one of --preset NAME and --model-config FILE");
  }
  const DType dtype = DTypeFlag(flags.dtype);
  const std::filesystem::path dir = flags.out;
  if (std::filesystem::exists(dir / "train_config.json")) {
    Fail("{}: holds a training run; a random model would overwrite it", flags.out);
  }
  const ModelConfig config = flags.preset.empty() ? LoadModelConfig(flags.model_config) : PresetFlag(flags.preset);
  ImageProcessorConfig images;
  if (!config.towers.empty()) images = DefaultImages(config);
  flags.images.Apply(images);
  if (config.towers.empty() && flags.images.given()) {
    throw UsageError("--image-preset is for models with vision towers");
  }
  const ParameterList list(config);
  const int64_t bytes =
      flags.decoder.empty() ? WriteRandom(common, config, list, flags, dtype) : Assemble(config, list, flags, dtype);
  if (!config.towers.empty()) {
    WriteFileAtomically(dir / "preprocessor_config.json", ImageProcessorConfigToJson(images).dump(2) + "\n");
  }
  if (common.json) {
    PrintJson({{"parameters", list.parameters}, {"bytes", bytes}});
  } else {
    Print(fmt::format("{}: {} parameters, {} bytes of {}\n", flags.out, list.parameters, bytes, DTypeName(dtype)));
  }
  return 0;
}

}  // namespace

void AddInit(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(
      app, common,
      {"init", "Write a model with random weights", "kinetok init --preset gpt2-124m --dtype f16 --out /tmp/gpt2"},
      [flags, &common] { return Init(common, *flags); });
  command->add_option("--preset", flags->preset, fmt::format("One of {}", fmt::join(PresetNames(), ", ")));
  command->add_option("--model-config", flags->model_config, "A config.json as Hugging Face writes it");
  command->add_option("--decoder", flags->decoder,
                      "A Llama model that the decoder's weights and the tokenizer are taken from; for models with "
                      "vision towers");
  command->add_option("--dtype", flags->dtype, "f32, f16 or bf16")->capture_default_str();
  flags->images.Add(command, "");
  AddSeed(command, flags->seed, "The same seed gives the same weights");
  command->add_option("--out", flags->out, "The directory to write");
}

}  // namespace kinetok::cli
