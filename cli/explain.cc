// kinetok explain: what the commands of this group share, and the group.

#include "cli/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <tuple>

#include "cli/table.h"
#include "kinetok/decode/generate.h"
#include "kinetok/decode/logits.h"
#include "kinetok/decode/sequences.h"

namespace kinetok::cli {

void PictureFlags::Add(CLI::App* command) {
  command->add_option("--png", png, "Also a picture, as a PNG file");
  command->add_option("--svg", svg, "Also a picture, as an SVG file");
}

void PictureFlags::Write(const Picture& picture) const {
  std::string lacking;
  if (!png.empty()) lacking = WritePicturePng(picture, png);
  if (!svg.empty()) lacking = WritePictureSvg(picture, svg);
  if (lacking.empty()) return;
  Note(fmt::format(
      "no installed font has every character of \"{}\", the picture shows boxes; a Korean font helps (Debian: "
      "fonts-nanum)\n",
      lacking));
}

std::vector<std::string> ModelText::Labels() const {
  std::vector<std::string> labels;
  labels.reserve(ids.size());
  for (const int32_t id : ids) labels.push_back(TokenText(model->tokenizer(), id));
  return labels;
}

void ModelTextFlags::Add(CLI::App* command, Common& common) {
  command->add_option("--model", model, "A model's directory: models/writer is bundled");
  AddAdapter(command, common);
  prompt.Add(command, true);
  AddNoParseSpecial(command, no_parse_special);
}

ModelText ModelTextFlags::Load(const Common& common, Context& context) const {
  RequireModel(model);
  ModelText out;
  std::string content;
  const bool as_ids = prompt.as_ids();
  if (as_ids) {
    out.ids = prompt.Ids();
  } else {
    content = prompt.Text();
  }
  out.model = Model::Load(context, model, common.Loading(as_ids ? TokenizerUse::kIfPossible : TokenizerUse::kRequired));
  if (!as_ids) out.ids = prompt.Encode(*out.model, content, !no_parse_special);
  CheckPrompt(out.model->config(), out.ids);
  return out;
}

std::pair<std::vector<std::string>, std::vector<double>> ParseProbabilities(const std::string& text) {
  std::vector<std::string> names;
  std::vector<double> probabilities;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string entry = text.substr(at, end - at);
    at = end + 1;
    const size_t equals = entry.rfind('=');
    if (equals == std::string::npos) {
      throw UsageError(fmt::format("--probs: \"{}\" is not NAME=PROBABILITY; expected as in \"a=0.6,b=0.4\"", entry));
    }
    const std::string name = entry.substr(0, equals), number = entry.substr(equals + 1);
    if (name.find_first_not_of(" \t") == std::string::npos) {
      throw UsageError(fmt::format("--probs: \"{}\" has no name before the =", entry));
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      throw UsageError(fmt::format("--probs: \"{}\" is there twice", name));
    }
    double p = 0;
    const auto [stop, fault] = std::from_chars(number.data(), number.data() + number.size(), p);
    if (fault != std::errc() || stop != number.data() + number.size() || !(p >= 0 && p <= 1)) {
      throw UsageError(fmt::format("--probs: the probability of \"{}\" is \"{}\"; it must be 0 to 1", name, number));
    }
    names.push_back(name);
    probabilities.push_back(p);
  }
  const double sum = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
  if (std::abs(sum - 1) > 1e-6)
    throw UsageError(fmt::format("--probs: the probabilities sum to {:.9g}, expected 1", sum));
  return {names, probabilities};
}

void NextTokenFlags::Add(CLI::App* command, Common& common) {
  command->add_option("--probs", probs, "A distribution, in place of a model's: \"a=0.6,b=0.4\"");
  source.Add(command, common);
}

NextToken::NextToken(const Common& common, const NextTokenFlags& flags) {
  if (!flags.probs.empty()) {
    if (!flags.source.model.empty() || flags.source.prompt.given()) {
      throw UsageError("--probs is a distribution already; leave out --model and the prompt, or --probs");
    }
    std::tie(names_, probabilities_) = ParseProbabilities(flags.probs);
    return;
  }
  if (flags.source.model.empty()) {
    throw UsageError("nothing to explain: give --probs \"a=0.6,b=0.4\", or --model DIR and --prompt TEXT");
  }
  const auto context = common.MakeContext();
  text_ = flags.source.Load(common, *context);
  logits_ = NextLogits(*context, *text_.model, text_.ids);
}

Distribution NextToken::Distribute(const SamplerOptions& options) const {
  if (!names_.empty()) return DistributeProbabilities(probabilities_, options);
  const History history{text_.ids, text_.ids.size(), text_.model->config().eos_token_ids};
  return kinetok::Distribute(logits_, options, history);
}

std::string NextToken::Name(int32_t token) const {
  return names_.empty() ? TokenText(text_.model->tokenizer(), token) : names_[static_cast<size_t>(token)];
}

std::string NextToken::Label(int32_t token) const {
  return names_.empty() ? Quoted(Name(token)) : Name(token);
}

OrderedJson NextToken::ToJson(const Distribution& distribution) const {
  OrderedJson kept = OrderedJson::array();
  for (const TokenProbability& t : distribution.kept) {
    OrderedJson entry = {{"token", Name(t.token)}, {"p", t.probability}};
    if (names_.empty()) entry["id"] = t.token;
    kept.push_back(std::move(entry));
  }
  return {{"kept", std::move(kept)}, {"entropy", distribution.entropy}};
}

void AddExplain(CLI::App& app, Common& common) {
  CLI::App* group = app.add_subcommand("explain", "Show how attention, decoding and training work");
  group->footer("Example:\n  kinetok explain mask \"A B C D\"");
  AddExplainMask(*group, common);
  AddExplainDecoding(*group, common);
  AddExplainTemperature(*group, common);
  AddExplainAttention(*group, common);
  AddExplainSteps(*group, common);
  AddExplainTeacherForcing(*group, common);
}

}  // namespace kinetok::cli
