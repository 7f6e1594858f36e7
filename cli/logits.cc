// kinetok logits: the raw logits of a text, as a NumPy file.

#include <fmt/format.h>

#include <array>

#include "cli/cli.h"
#include "kinetok/decode/generate.h"
#include "kinetok/decode/logits.h"
#include "kinetok/io/npy.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string model, out;
  PromptFlags prompt;
  bool no_parse_special = false;
};

int Logits(const Common& common, const Flags& flags) {
  RequireModel(flags.model);
  if (flags.out.empty()) throw UsageError("--out is missing: the .npy file to write");
  const bool as_ids = flags.prompt.as_ids();
  std::vector<int32_t> ids;
  std::string text;
  if (as_ids) {
    ids = flags.prompt.Ids();
  } else {
    text = flags.prompt.Text();
  }
  const auto context = common.MakeContext();
  const auto model =
      Model::Load(*context, flags.model, common.Loading(as_ids ? TokenizerUse::kNone : TokenizerUse::kRequired));
  if (!as_ids) ids = flags.prompt.Encode(*model, text, !flags.no_parse_special);
  const std::array<int64_t, 2> shape = {static_cast<int64_t>(ids.size()), model->config().vocab_size};
  NpyWriter writer(flags.out, shape);
  ForEachLogits(*context, *model, ids, [&](int64_t, Rows<const float> logits) {
    for (int64_t i = 0; i < logits.rows; ++i) writer.Write({logits[i], static_cast<size_t>(logits.width)});
  });
  writer.Commit();
  if (common.json) {
    PrintJson({{"out", flags.out}, {"positions", shape[0]}, {"vocab_size", shape[1]}, {"tokens", ids}});
  } else {
    Print(fmt::format("{}: float32 [{}, {}]\n", flags.out, shape[0], shape[1]));
  }
  return 0;
}

}  // namespace

void AddLogits(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      AddCommand(app, common,
                 {"logits", "Write the logits of every position of a text, float32 [positions, vocabulary]",
                  "kinetok logits --model models/writer --prompt \"ROMEO:\" --out logits.npy"},
                 [flags, &common] { return Logits(common, *flags); });
  command->add_option("--model", flags->model, "A model's directory: models/writer is bundled");
  AddAdapter(command, common);
  flags->prompt.Add(command, false);
  command->add_option("--out", flags->out, "The .npy file to write");
  AddNoParseSpecial(command, flags->no_parse_special);
}

}  // namespace kinetok::cli
