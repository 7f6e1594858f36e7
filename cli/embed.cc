// kinetok embed: a vector for each sentence.

#include <fmt/format.h>

#include <algorithm>

#include "cli/cli.h"
#include "kinetok/decode/encoder.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string model, pooling;
  std::vector<std::string> texts;
  bool normalize = false;
};

EmbedOptions Options(const Flags& flags) {
  EmbedOptions options = EmbedOptions::Load(flags.model);
  if (flags.pooling == "mean") options.pooling = Pooling::kMean;
  if (flags.pooling == "cls") options.pooling = Pooling::kCls;
  options.normalize = options.normalize || flags.normalize;
  return options;
}

int Embed(const Common& common, Flags& flags) {
  RequireModel(flags.model);
  if (!flags.pooling.empty() && flags.pooling != "mean" && flags.pooling != "cls") {
    throw UsageError(fmt::format("--pooling is \"{}\"; it must be mean or cls", flags.pooling));
  }
  if (flags.texts.empty()) flags.texts.push_back(ReadStdin());
  const EmbedOptions options = Options(flags);
  const auto context = common.MakeContext();
  const auto model = Model::Load(*context, flags.model, common.Loading());
  const std::vector<std::vector<float>> vectors = EmbedTexts(*context, *model, flags.texts, options);
  OrderedJson similarities = OrderedJson::array();
  for (const auto& a : vectors) {
    similarities.push_back(OrderedJson::array());
    for (const auto& b : vectors) similarities.back().push_back(CosineSimilarity(a, b));
  }
  if (common.json) {
    PrintJson({{"dimensions", model->config().hidden_size}, {"embeddings", vectors}, {"cosine", similarities}});
    return 0;
  }
  std::string out;
  for (size_t i = 0; i < vectors.size(); ++i) {
    out += fmt::format(
        "{:>3}  {}\n     [{:.5f}, ...]\n", i, flags.texts[i],
        fmt::join(vectors[i].begin(), vectors[i].begin() + std::min<long>(4, model->config().hidden_size), ", "));
  }
  if (vectors.size() > 1) out += "cosine similarity\n";
  for (size_t i = 0; vectors.size() > 1 && i < vectors.size(); ++i) {
    out += fmt::format("{:>3}", i);
    for (const auto& s : similarities[i]) out += fmt::format("  {:7.4f}", s.get<double>());
    out += "\n";
  }
  Print(out);
  return 0;
}

}  // namespace

void AddEmbed(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      AddCommand(app, common,
                 {"embed", "Describe sentences as vectors, and compare them",
                  "kinetok embed --model all-minilm-l6-v2 --text \"A cat sleeps.\" --text \"A dog naps.\""},
                 [flags, &common] { return Embed(common, *flags); });
  command->add_option("--model", flags->model, "A model's directory; a sentence-transformers one says how to pool");
  AddAdapter(command, common);
  AddTexts(command, "--text", flags->texts, "A sentence; may be repeated; default: stdin");
  command->add_option("--pooling", flags->pooling, "mean or cls; default: as the directory says, else mean");
  command->add_flag("--normalize", flags->normalize, "Vectors of length 1");
}

}  // namespace kinetok::cli
