// kinetok explain attention: where each token looks, in one layer.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "cli/explain.h"
#include "cli/table.h"
#include "kinetok/model/attention_map.h"

namespace kinetok::cli {
namespace {

struct Flags {
  ModelTextFlags source;
  int64_t layer = 0;
  std::string head = "all";
  PictureFlags picture;
};

using Matrix = std::vector<std::vector<double>>;

struct NamedMatrix {
  std::string name;
  int64_t head = -1;  // -1: the mean
  Matrix rows;
};

NamedMatrix HeadMatrix(const AttentionMap& map, int64_t head) {
  NamedMatrix out{fmt::format("head {}", head), head, {}};
  for (int64_t i = 0; i < map.tokens; ++i) {
    const std::span<const double> row = map.Row(head, i);
    out.rows.emplace_back(row.begin(), row.end());
  }
  return out;
}

NamedMatrix MeanMatrix(const AttentionMap& map) {
  NamedMatrix out = HeadMatrix(map, 0);
  out.name = fmt::format("mean of {} heads", map.heads);
  out.head = -1;
  for (int64_t i = 0; i < map.tokens; ++i) {
    for (int64_t j = 0; j < map.tokens; ++j) {
      double& p = out.rows[static_cast<size_t>(i)][static_cast<size_t>(j)];
      for (int64_t h = 1; h < map.heads; ++h) p += map.Row(h, i)[static_cast<size_t>(j)];
      p /= static_cast<double>(map.heads);
    }
  }
  return out;
}

// Of a short text the matrix in hundredths; of a long one, what each token looks at most.
std::string Text(const NamedMatrix& m, const std::vector<std::string>& labels) {
  constexpr size_t kWide = 20;
  if (labels.size() > kWide) {
    Table table({m.name, "looks at"}, 2);
    for (size_t i = 0; i < labels.size(); ++i) {
      std::vector<size_t> order(labels.size());
      std::iota(order.begin(), order.end(), size_t{0});
      const size_t most = std::min<size_t>(3, order.size());
      std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(most), order.end(),
                        [&](size_t a, size_t b) { return m.rows[i][a] > m.rows[i][b]; });
      std::vector<std::string> seen;
      for (size_t k = 0; k < most && m.rows[i][order[k]] > 0; ++k) {
        seen.push_back(fmt::format("{} {} {:.2f}", order[k], Quoted(labels[order[k]]), m.rows[i][order[k]]));
      }
      table.Add({fmt::format("{} {}", i, Quoted(labels[i])), fmt::format("{}", fmt::join(seen, ", "))});
    }
    return table.Text();
  }
  std::vector<std::string> header = {m.name};
  header.reserve(labels.size() + 1);
  for (size_t j = 0; j < labels.size(); ++j) header.push_back(fmt::format("{}", j));
  Table table(header);
  for (size_t i = 0; i < labels.size(); ++i) {
    std::vector<std::string> row = {fmt::format("{} {}", i, Quoted(labels[i]))};
    row.reserve(labels.size() + 1);
    for (const double p : m.rows[i]) row.push_back(p == 0 ? "." : fmt::format("{:.0f}", 100 * p));
    table.Add(std::move(row));
  }
  return table.Text();
}

HeatMap Map(const NamedMatrix& m, const AttentionMap& map, const std::vector<std::string>& labels) {
  HeatMap out{.title = m.name, .rows = labels, .columns = labels, .values = m.rows};
  for (const AttentionRow& row : map.rows) {
    std::vector<bool> hidden(labels.size(), true);
    std::fill(hidden.begin() + row.first, hidden.begin() + row.last + 1, false);
    out.hidden.push_back(std::move(hidden));
  }
  return out;
}

int ExplainAttention(const Common& common, const Flags& flags) {
  int64_t head = -1;
  if (flags.head != "all" && flags.head != "mean" && flags.head != "-1") {
    const char* end = flags.head.data() + flags.head.size();
    const auto [stop, fault] = std::from_chars(flags.head.data(), end, head);
    if (fault != std::errc() || stop != end || head < 0) {
      throw UsageError(fmt::format("--head is \"{}\"; it must be a number from 0, all or mean", flags.head));
    }
  }
  const auto context = common.MakeContext();
  const ModelText text = flags.source.Load(common, *context);
  const ModelConfig& config = text.model->config();
  if (head >= config.num_attention_heads) {
    throw UsageError(fmt::format("--head is {}; the model has heads 0 to {}", head, config.num_attention_heads - 1));
  }
  constexpr size_t kMost = 512;
  if (text.ids.size() > kMost) Fail("{} tokens are too many to show; the limit is {}", text.ids.size(), kMost);
  std::optional<AttentionMap> map;
  CheckFlags([&] { map = ComputeAttentionMap(*context, *text.model, text.ids, flags.layer); });

  std::vector<NamedMatrix> shown;
  if (flags.head == "mean") {
    shown.push_back(MeanMatrix(*map));
  } else if (head >= 0) {
    shown.push_back(HeadMatrix(*map, head));
  } else {
    for (int64_t h = 0; h < map->heads; ++h) shown.push_back(HeadMatrix(*map, h));
  }
  const std::vector<std::string> labels = text.Labels();
  Picture picture{.title = fmt::format("Attention, layer {}", flags.layer)};
  for (const NamedMatrix& m : shown) picture.maps.push_back(Map(m, *map, labels));
  flags.picture.Write(picture);

  if (common.json) {
    OrderedJson json = {{"layer", flags.layer}, {"tokens", labels}, {"ids", text.ids}, {"heads", OrderedJson::array()}};
    for (const NamedMatrix& m : shown) {
      json["heads"].push_back({{"head", m.head < 0 ? OrderedJson("mean") : OrderedJson(m.head)}, {"rows", m.rows}});
    }
    PrintJson(json);
    return 0;
  }
  std::string out = fmt::format("layer {}; a row is a position, in hundredths of its attention\n", flags.layer);
  for (const NamedMatrix& m : shown) out += "\n" + Text(m, labels);
  Print(out);
  return 0;
}

}  // namespace

void AddExplainAttention(CLI::App& group, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(
      group, common,
      {"attention", "Where each token of a text looks, in one layer of a model",
       "kinetok explain attention --model models/writer --prompt \"To be, or not to be\" --layer 2 --head 0"},
      [flags, &common] { return ExplainAttention(common, *flags); });
  flags->source.Add(command, common);
  command->add_option("--layer", flags->layer, "From 0")->capture_default_str();
  command->add_option("--head", flags->head, "From 0; all (or -1): every one; mean: their mean")->capture_default_str();
  flags->picture.Add(command);
}

}  // namespace kinetok::cli
