// kinetok perplexity: how well a model predicts a text.

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <numbers>

#include "cli/cli.h"
#include "cli/progress.h"
#include "kinetok/base/file.h"
#include "kinetok/base/math.h"
#include "kinetok/decode/generate.h"
#include "kinetok/decode/score.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string model, data;
  PerplexityOptions options;
  bool no_parse_special = false;
};

// The bytes of a text that the model is asked for: without the special tokens typed in it, which mark ends of
// documents.
int64_t TextBytes(const Tokenizer& tokenizer, std::string_view text, bool parse_special) {
  auto bytes = static_cast<int64_t>(text.size());
  if (!parse_special) return bytes;
  for (const int32_t id : tokenizer.Encode(text, {.special = false, .parse_special = true})) {
    if (tokenizer.IsSpecial(id)) bytes -= static_cast<int64_t>(tokenizer.Piece(id).size());
  }
  return bytes;
}

int Perplexity(const Common& common, Flags& flags) {
  RequireModel(flags.model);
  if (flags.data.empty()) throw UsageError("--data is missing: the text file to measure");
  const std::string text = ReadFile(flags.data);
  const auto context = common.MakeContext();
  const auto model = Model::Load(*context, flags.model, common.Loading());
  CheckFlags([&] { flags.options.Check(model->config()); });
  std::vector<int32_t> ids;
  try {
    ids = EncodePrompt(*model, text, !flags.no_parse_special);
  } catch (const Error& e) {
    Fail("{}: {}", flags.data, e.what());
  }
  ProgressBar bar(std::cerr, {.label = "reading",
                              .total = static_cast<int64_t>(ids.size()),
                              .unit = "tokens",
                              .interactive = IsTerminal(STDERR_FILENO),
                              .columns = TerminalColumns(STDERR_FILENO),
                              .now = {}});
  flags.options.progress = [&](int64_t done, int64_t) { bar.Update(done); };
  const PerplexityReport report = ComputePerplexity(*context, *model, ids, flags.options);
  bar.Clear();
  const int64_t bytes = TextBytes(*model->tokenizer(), text, !flags.no_parse_special);
  // Tokens that no window scored count with the mean of the others.
  const double bits = report.Loss() * static_cast<double>(report.tokens) / std::numbers::ln2;
  const double bits_per_byte = bytes > 0 ? bits / static_cast<double>(bytes) : 0;
  if (common.json) {
    PrintJson({{"tokens", report.tokens},
               {"scored", report.scored},
               {"bytes", bytes},
               {"loss", report.Loss()},
               {"perplexity", Exp(report.Loss())},
               {"bits_per_byte", bits_per_byte},
               {"stride", report.stride},
               {"context", report.window}});
    return 0;
  }
  Print(fmt::format(
      "tokens         {} ({} scored)\nnats a token   {:.4f}\nperplexity     {:.3f}\nbits per byte  {:.4f}\n"
      "context        {}, stride {}\n",
      report.tokens, report.scored, report.Loss(), Exp(report.Loss()), bits_per_byte, report.window, report.stride));
  return 0;
}

}  // namespace

void AddPerplexity(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, common,
                                 {"perplexity", "How well a model predicts a text, in windows with a stated stride",
                                  "kinetok perplexity --model models/writer --data book.txt --stride 128"},
                                 [flags, &common] { return Perplexity(common, *flags); });
  command->add_option("--model", flags->model, "A model's directory: models/writer is bundled");
  AddAdapter(command, common);
  command->add_option("--data", flags->data, "A text file, UTF-8");
  command->add_option("--context", flags->options.window, "Tokens of a window; default: the model's context");
  command->add_option(
      "--stride", flags->options.stride,
      "How far the next window begins; what came before serves as context only; default: half a window");
  AddNoParseSpecial(command, flags->no_parse_special);
}

}  // namespace kinetok::cli
