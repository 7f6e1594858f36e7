// kinetok explain decoding and explain temperature: what is left of a next-token distribution, and how it is reshaped.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "cli/explain.h"
#include "cli/sampling_flags.h"
#include "cli/table.h"

namespace kinetok::cli {
namespace {

struct Strategy {
  std::string name;
  SamplerOptions options;
  Distribution distribution{};
};

// One column a strategy, one row a token: the `top` likeliest before any strategy, and what is kept of each.
std::string DistributionTable(const NextToken& source, const Distribution& all, const std::vector<Strategy>& columns,
                              int64_t top) {
  std::vector<std::string> header = {"token", "p"};
  header.reserve(columns.size() + 2);
  for (const Strategy& s : columns) header.push_back(s.name);
  Table table(header);
  const size_t rows = std::min(all.kept.size(), static_cast<size_t>(top));
  for (size_t r = 0; r < rows; ++r) {
    std::vector<std::string> row = {source.Label(all.kept[r].token), fmt::format("{:.4f}", all.kept[r].probability)};
    for (const Strategy& s : columns) {
      const auto kept = std::find_if(s.distribution.kept.begin(), s.distribution.kept.end(),
                                     [&](const TokenProbability& t) { return t.token == all.kept[r].token; });
      row.push_back(kept == s.distribution.kept.end() ? "-" : fmt::format("{:.4f}", kept->probability));
    }
    table.Add(std::move(row));
  }
  if (rows < all.kept.size()) table.Add({fmt::format("({} more)", all.kept.size() - rows)});
  std::vector<std::string> kept = {"kept", fmt::format("{}", all.kept.size())};
  std::vector<std::string> entropy = {"entropy", fmt::format("{:.4f}", all.entropy)};
  for (const Strategy& s : columns) {
    kept.push_back(fmt::format("{}", s.distribution.kept.size()));
    entropy.push_back(fmt::format("{:.4f}", s.distribution.entropy));
  }
  table.Add(std::move(kept));
  table.Add(std::move(entropy));
  return table.Text();
}

Picture DistributionPicture(const NextToken& source, const Distribution& all, const std::vector<Strategy>& columns,
                            int64_t top, std::string title) {
  Picture picture{.title = std::move(title)};
  for (const Strategy& s : columns) {
    BarChart chart{.title = fmt::format("{} (entropy {:.2f})", s.name, s.distribution.entropy)};
    std::map<int32_t, double> kept;
    for (const TokenProbability& t : s.distribution.kept) kept[t.token] = t.probability;
    for (size_t r = 0; r < std::min(all.kept.size(), static_cast<size_t>(top)); ++r) {
      chart.labels.push_back(source.Label(all.kept[r].token));
      chart.values.push_back(kept.contains(all.kept[r].token) ? kept[all.kept[r].token] : 0);
    }
    picture.charts.push_back(std::move(chart));
  }
  return picture;
}

struct DecodingFlags {
  NextTokenFlags source;
  SamplerOptions sampler;
  DrawingFlags chain;  // with one of these, that chain alone
  int64_t top = 10;
  PictureFlags picture;
};

int ExplainDecoding(const Common& common, DecodingFlags& flags) {
  CheckFlags([&] {
    flags.chain.Read(flags.sampler);
    flags.sampler.Check();
  });
  const NextToken source(common, flags.source);
  const Distribution all = source.Distribute({});
  const bool one = flags.chain.given();
  std::vector<Strategy> strategies;
  if (one) {
    strategies = {{"this chain", flags.sampler}};
  } else {
    strategies = {{"greedy", {.greedy = true}},
                  {"top-k 3", {.top_k = 3}},
                  {"top-p 0.7", {.top_p = 0.7}},
                  {"top-p 0.9", {.top_p = 0.9}}};
  }
  for (Strategy& s : strategies) s.distribution = source.Distribute(s.options);
  flags.picture.Write(DistributionPicture(source, all, strategies, flags.top, "What may be chosen"));
  if (!common.json) {
    Print(DistributionTable(source, all, strategies, flags.top));
    return 0;
  }
  if (one) {
    PrintJson(source.ToJson(strategies.front().distribution));
    return 0;
  }
  OrderedJson json = source.ToJson(all);
  json["strategies"] = OrderedJson::array();
  for (const Strategy& s : strategies) {
    OrderedJson entry = {{"name", s.name}};
    entry.update(source.ToJson(s.distribution));
    json["strategies"].push_back(std::move(entry));
  }
  PrintJson(json);
  return 0;
}

struct TemperatureFlags {
  NextTokenFlags source;
  std::string temperatures = "0.5 1 2";
  int64_t top = 10;
  PictureFlags picture;
};

std::vector<Strategy> ParseTemperatures(const std::string& text) {
  std::vector<Strategy> out;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    std::istringstream number(word);
    number.imbue(std::locale::classic());
    Strategy s{.name = "T = " + word, .options = {}};
    if (!(number >> s.options.temperature) || !number.eof()) {
      throw UsageError(fmt::format("--temperatures: \"{}\" is not a number; expected as in \"0.5 1 2\"", word));
    }
    try {
      s.options.Check();
    } catch (const Error& e) {
      throw UsageError(fmt::format("--temperatures: {}", e.what()));
    }
    out.push_back(std::move(s));
  }
  if (out.empty()) throw UsageError("--temperatures is empty; expected as in \"0.5 1 2\"");
  return out;
}

int ExplainTemperature(const Common& common, const TemperatureFlags& flags) {
  std::vector<Strategy> strategies = ParseTemperatures(flags.temperatures);
  const NextToken source(common, flags.source);
  const Distribution all = source.Distribute({});
  for (Strategy& s : strategies) s.distribution = source.Distribute(s.options);
  flags.picture.Write(DistributionPicture(source, all, strategies, flags.top, "Temperature"));
  if (!common.json) {
    Print(DistributionTable(source, all, strategies, flags.top));
    return 0;
  }
  OrderedJson json = {{"temperatures", OrderedJson::array()}};
  for (const Strategy& s : strategies) {
    OrderedJson entry = {{"temperature", s.options.temperature}};
    entry.update(source.ToJson(s.distribution));
    json["temperatures"].push_back(std::move(entry));
  }
  PrintJson(json);
  return 0;
}

void AddTop(CLI::App* command, int64_t& top) {
  command->add_option("--top", top, "How many tokens the table and the picture show; --json has all that are kept")
      ->capture_default_str()
      ->check(CLI::Range(1, 200));
}

}  // namespace

void AddExplainDecoding(CLI::App& group, Common& common) {
  auto flags = std::make_shared<DecodingFlags>();
  CLI::App* command = AddCommand(
      group, common,
      {"decoding", "What greedy, top-k and top-p keep of a distribution, or what one chain of filters does",
       "kinetok explain decoding --probs \"고양이=0.4,강아지=0.3,새=0.15,물고기=0.1,자동차=0.05\" --top-p 0.9"},
      [flags, &common] { return ExplainDecoding(common, *flags); });
  flags->source.Add(command, common);
  flags->chain.Add(command, flags->sampler);
  AddTop(command, flags->top);
  flags->picture.Add(command);
}

void AddExplainTemperature(CLI::App& group, Common& common) {
  auto flags = std::make_shared<TemperatureFlags>();
  CLI::App* command =
      AddCommand(group, common,
                 {"temperature", "A distribution at several temperatures, with its entropy",
                  "kinetok explain temperature --model models/writer --prompt \"ROMEO:\" --temperatures \"0.5 1 2\""},
                 [flags, &common] { return ExplainTemperature(common, *flags); });
  flags->source.Add(command, common);
  command->add_option("--temperatures", flags->temperatures, "Several, as in \"0.5 1 2\"")->capture_default_str();
  AddTop(command, flags->top);
  flags->picture.Add(command);
}

}  // namespace kinetok::cli
