// kinetok fill-mask: guesses the words that a text leaves out.

#include <fmt/format.h>

#include <algorithm>

#include "cli/cli.h"
#include "kinetok/decode/encoder.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string model, text;
  CLI::Option* text_option = nullptr;
  int64_t top = 5;
};

OrderedJson ToJson(const std::vector<MaskPrediction>& predictions) {
  OrderedJson out = OrderedJson::array();
  for (const MaskPrediction& p : predictions) {
    out.push_back({{"token", p.token}, {"piece", p.piece}, {"probability", p.probability}});
  }
  return out;
}

int FillMask(const Common& common, const Flags& flags) {
  RequireModel(flags.model);
  if (flags.top < 1) throw UsageError(fmt::format("--top is {}; it must be at least 1", flags.top));
  const std::string text = flags.text_option->count() > 0 ? flags.text : ReadStdin();
  const auto context = common.MakeContext();
  const auto model = Model::Load(*context, flags.model, common.Loading());
  const std::vector<FilledMask> masks = kinetok::FillMask(*context, *model, text, flags.top);
  if (common.json) {
    OrderedJson all = OrderedJson::array();
    for (const FilledMask& m : masks) {
      all.push_back({{"position", m.position}, {"predictions", ToJson(m.predictions)}});
    }
    PrintJson({{"predictions", ToJson(masks.front().predictions)}, {"masks", all}});
    return 0;
  }
  std::string table;
  for (const FilledMask& m : masks) {
    if (masks.size() > 1) table += fmt::format("position {}\n", m.position);
    for (const MaskPrediction& p : m.predictions)
      table += fmt::format("{:8.4f}  {:>6}  {}\n", p.probability, p.token, p.piece);
  }
  Print(table);
  return 0;
}

}  // namespace

void AddFillMask(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      AddCommand(app, common,
                 {"fill-mask", "Guess the words that a text leaves out (BERT)",
                  "kinetok fill-mask --model bert-base-uncased --text \"The capital of France is [MASK].\""},
                 [flags, &common] { return FillMask(common, *flags); });
  command->add_option("--model", flags->model, "A BERT's directory");
  AddAdapter(command, common);
  flags->text_option = command->add_option("--text", flags->text, "A text with one or more [MASK]; default: stdin");
  command->add_option("--top", flags->top, "How many guesses for each")->capture_default_str();
}

}  // namespace kinetok::cli
