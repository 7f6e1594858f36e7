// kinetok explain mask: who sees whom, in GPT, BERT, GPT-3's banded layers and OpenVLA, or in the layers of a model.

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "cli/explain.h"
#include "cli/table.h"
#include "kinetok/decode/sequences.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/steps.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string words, model;
  int64_t window = 2, image_patches = 4, action_tokens = 7;
  bool no_parse_special = false;
  PictureFlags picture;
};

struct NamedMask {
  std::string name;
  Mask mask;
  std::vector<std::string> tokens;

  // [position][key]: 1 where the position sees the key.
  std::vector<std::vector<int>> Rows() const {
    const auto length = static_cast<int32_t>(tokens.size());
    std::vector<std::vector<int>> rows;
    rows.reserve(tokens.size());
    for (int32_t position = 0; position < length; ++position) {
      const AttentionRow row = VisibleRow(mask, 0, position, length);
      std::vector<int> cells(tokens.size());
      for (int32_t key = 0; key < length; ++key) cells[static_cast<size_t>(key)] = row.first <= key && key <= row.last;
      rows.push_back(std::move(cells));
    }
    return rows;
  }

  std::string Text() const {
    size_t width = 0;
    for (const std::string& t : tokens) width = std::max(width, DisplayWidth(t));
    std::string out = name + "\n" + PadRight("", width);
    out += fmt::format(" {}\n", fmt::join(tokens, " "));
    const auto rows = Rows();
    for (size_t r = 0; r < tokens.size(); ++r) {
      out += PadRight(tokens[r], width);
      for (size_t c = 0; c < tokens.size(); ++c) {
        out += fmt::format(" {}", PadLeft(rows[r][c] != 0 ? "1" : "0", DisplayWidth(tokens[c])));
      }
      out += "\n";
    }
    return out;
  }

  HeatMap Map() const {
    HeatMap map{.title = name, .rows = tokens, .columns = tokens, .numbers = tokens.size() <= 6};
    for (const auto& row : Rows()) {
      map.values.emplace_back(row.begin(), row.end());
      map.hidden.emplace_back();
      for (const int seen : row) map.hidden.back().push_back(seen == 0);
    }
    return map;
  }
};

std::string MaskName(const Mask& mask) {
  switch (mask.kind) {
    case Mask::Kind::kCausal:
      return "causal";
    case Mask::Kind::kBanded:
      return fmt::format("causal, banded, window {}", mask.window);
    case Mask::Kind::kFull:
      break;
  }
  return "full";
}

// The masks that a text of these tokens meets in the notes' models.
std::vector<NamedMask> NotesMasks(const Flags& flags, const std::vector<std::string>& words) {
  std::vector<std::string> openvla = {"<s>"};
  for (int64_t i = 1; i <= flags.image_patches; ++i) openvla.push_back(fmt::format("p{}", i));
  openvla.insert(openvla.end(), words.begin(), words.end());
  for (int64_t i = 1; i <= flags.action_tokens; ++i) openvla.push_back(fmt::format("a{}", i));
  const auto name = [](const char* who, const Mask& mask) { return fmt::format("{}: {}", who, MaskName(mask)); };
  const Mask banded = Mask::Banded(flags.window);
  return {{name("GPT, Llama", Mask::Causal()), Mask::Causal(), words},
          {name("BERT", Mask::Full()), Mask::Full(), words},
          {name("GPT-3, every other layer", banded), banded, words},
          {"OpenVLA [BOS | image | text | action]: " + MaskName(Mask::Causal()), Mask::Causal(), openvla}};
}

// A model's own masks over its own tokens, each with the layers that have it.
std::vector<NamedMask> ModelMasks(const ModelConfig& config, const std::vector<std::string>& tokens) {
  std::vector<std::pair<Mask, std::vector<int64_t>>> found;
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    const Mask mask = config.LayerMask(layer);
    auto at = std::find_if(found.begin(), found.end(), [&](const auto& f) { return f.first == mask; });
    if (at == found.end()) at = found.insert(found.end(), {mask, {}});
    at->second.push_back(layer);
  }
  std::vector<NamedMask> out;
  out.reserve(found.size());
  for (const auto& [mask, layers] : found) {
    const std::string where = static_cast<int64_t>(layers.size()) == config.num_hidden_layers
                                  ? fmt::format("all {} layers", layers.size())
                                  : fmt::format("layers {}", fmt::join(layers, ", "));
    out.push_back({fmt::format("{}, {}: {}", config.model_type, where, MaskName(mask)), mask, tokens});
  }
  return out;
}

int ExplainMask(const Common& common, const Flags& flags) {
  std::vector<std::string> tokens;
  std::vector<NamedMask> masks;
  if (flags.model.empty()) {
    std::istringstream words(flags.words);
    for (std::string word; words >> word;) tokens.push_back(Printable(word));
    if (tokens.empty()) throw UsageError("no tokens: give some, parted by spaces, as in \"A B C D\"");
    masks = NotesMasks(flags, tokens);
  } else {
    const ModelConfig config = LoadDirectoryConfig(flags.model);
    const auto tokenizer = Tokenizer::Load(flags.model);
    const std::vector<int32_t> ids =
        tokenizer->Encode(flags.words, {.special = true, .parse_special = !flags.no_parse_special});
    CheckPrompt(config, ids);
    for (const int32_t id : ids) tokens.push_back(TokenText(tokenizer.get(), id));
    masks = ModelMasks(config, tokens);
  }
  constexpr size_t kMost = 512;
  for (const NamedMask& m : masks) {
    if (m.tokens.size() > kMost) Fail("{} tokens are too many to show; the limit is {}", m.tokens.size(), kMost);
  }

  Picture picture;
  for (const NamedMask& m : masks) picture.maps.push_back(m.Map());
  flags.picture.Write(picture);
  if (common.json) {
    OrderedJson json = {{"tokens", tokens}, {"masks", OrderedJson::array()}};
    for (const NamedMask& m : masks) {
      json["masks"].push_back({{"name", m.name}, {"tokens", m.tokens}, {"rows", m.Rows()}});
    }
    PrintJson(json);
    return 0;
  }
  std::vector<std::string> blocks;
  blocks.reserve(masks.size());
  for (const NamedMask& m : masks) blocks.push_back(m.Text());
  Print(SideBySide(blocks, 110));
  return 0;
}

}  // namespace

void AddExplainMask(CLI::App& group, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(
      group, common,
      {"mask", "Which token sees which: causal, full, banded, and OpenVLA's", "kinetok explain mask \"A B C D\""},
      [flags, &common] { return ExplainMask(common, *flags); });
  command->add_option("tokens", flags->words, "Tokens parted by spaces; with --model a text for its tokenizer")
      ->required();
  command->add_option("--model", flags->model, "Show the masks of this model's layers instead");
  const CLI::Range many(1, 256);
  command->add_option("--window", flags->window, "How many keys a banded layer sees, its own included")
      ->capture_default_str()
      ->check(many);
  command->add_option("--image-patches", flags->image_patches, "Of OpenVLA's mask; the real ones have 256")
      ->capture_default_str()
      ->check(many);
  command->add_option("--action-tokens", flags->action_tokens, "Of OpenVLA's mask")->capture_default_str()->check(many);
  AddNoParseSpecial(command, flags->no_parse_special);
  flags->picture.Add(command);
}

}  // namespace kinetok::cli
