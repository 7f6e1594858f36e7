// kinetok convert: a model in another format, element type or number of files.

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "cli/cli.h"
#include "cli/progress.h"
#include "kinetok/model/assemble.h"
#include "kinetok/model/convert.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string model, out, dtype;
  uint64_t max_shard_size = static_cast<uint64_t>(ConvertOptions{}.max_shard_bytes);
  bool no_tokenizer = false, force = false;
};

struct Interrupted {};

int Convert(const Common& common, const Flags& flags) {
  RequireModel(flags.model);
  if (flags.out.empty()) throw UsageError("--out is missing: a directory, or a file that ends in .gguf");
  if (flags.max_shard_size < 1 || flags.max_shard_size > static_cast<uint64_t>(INT64_MAX)) {
    throw UsageError(fmt::format("--max-shard-size is {}; it must be 1 to {}", flags.max_shard_size, INT64_MAX));
  }
  ConvertOptions options;
  if (!flags.dtype.empty()) options.dtype = DTypeFlag(flags.dtype);
  options.max_shard_bytes = static_cast<int64_t>(flags.max_shard_size);
  options.tokenizer = !flags.no_tokenizer;
  options.force = flags.force;
  if (!common.adapter.empty()) {
    const auto context = common.MakeContext();
    const int64_t bytes = MergeAdapter(*context, flags.model, common.adapter, flags.out, options.dtype, flags.force);
    if (common.json) {
      PrintJson({{"bytes", bytes}, {"out", flags.out}});
    } else {
      Print(fmt::format("{}: {} with {} merged in, {} bytes\n", flags.out, flags.model, common.adapter, bytes));
    }
    return 0;
  }
  const std::atomic<bool>& interrupted = CatchInterrupt();
  ConvertResult result;
  try {
    constexpr int64_t kStep = 1'000'000;
    ProgressBar progress(std::cerr, {.label = "converting",
                                     .total = 0,
                                     .unit = "bytes",
                                     .units_per_step = kStep,
                                     .interactive = IsTerminal(STDERR_FILENO),
                                     .columns = TerminalColumns(STDERR_FILENO)});
    options.progress = [&](int64_t done, int64_t total) {
      if (interrupted) throw Interrupted();  // what was written so far is removed on the way
      progress.Update(done / kStep,
                      fmt::format("{:.0f}%", 100.0 * static_cast<double>(done) / static_cast<double>(total)));
    };
    result = ConvertModel(flags.model, flags.out, options);
  } catch (const Interrupted&) {
    return kInterrupted;
  }
  if (common.json) {
    PrintJson(
        {{"parameters", result.parameters}, {"bytes", result.bytes}, {"tensors", result.tensors}, {"out", flags.out}});
  } else {
    Print(fmt::format("{}: {} parameters in {} tensors, {} bytes\n", flags.out, result.parameters, result.tensors,
                      result.bytes));
  }
  return 0;
}

}  // namespace

void AddConvert(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, common,
                                 {"convert", "Write a model in another format or element type",
                                  "kinetok convert --model models/writer --out writer.gguf --dtype f16"},
                                 [flags, &common] { return Convert(common, *flags); });
  command->add_option("--model", flags->model, "A model's directory, or a .gguf file");
  command->add_option("--adapter", common.adapter, "A LoRA adapter's directory (PEFT), merged into the weights");
  command->add_option("--out", flags->out, "The directory to write, or a file that ends in .gguf");
  command->add_option("--dtype", flags->dtype, "f32, f16 or bf16; default: every value stays as it is");
  command
      ->add_option("--max-shard-size", flags->max_shard_size,
                   "Bytes of a directory's largest file of weights (5GB, 500MB); more go into further files")
      ->transform(CLI::AsSizeValue(true))
      ->capture_default_str();
  command->add_flag("--no-tokenizer", flags->no_tokenizer, "Leave the tokenizer out");
  command->add_flag("--force", flags->force, "Replace a model that is there");
}

}  // namespace kinetok::cli
