// What the commands of `kinetok explain` share.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "kinetok/decode/sampler.h"
#include "kinetok/io/picture.h"

namespace kinetok::cli {

// --png and --svg. Write draws what was asked for; a text that no font can show is told on stderr.
struct PictureFlags {
  std::string png, svg;
  void Add(CLI::App* command);
  void Write(const Picture& picture) const;
};

// A model and a text for it, as flags; the text is --prompt, --tokens or stdin, or what `text_flag` says.
struct ModelText {
  std::shared_ptr<const Model> model;
  std::vector<int32_t> ids;
  std::vector<std::string> Labels() const;  // the tokens, printable
};
struct ModelTextFlags {
  std::string model, text;
  PromptFlags prompt;
  bool no_parse_special = false;
  void Add(CLI::App* command, Common& common);
  ModelText Load(const Common& common, Context& context) const;
};

// The distribution over the next token that is explained: --probs, or a model's after a prompt.
struct NextTokenFlags {
  std::string probs;
  ModelTextFlags source;
  void Add(CLI::App* command, Common& common);
};
class NextToken {
 public:
  NextToken(const Common& common, const NextTokenFlags& flags);
  Distribution Distribute(const SamplerOptions& options) const;
  std::string Name(int32_t token) const;
  std::string Label(int32_t token) const;                      // the same, in quotes when it is a model's token
  OrderedJson ToJson(const Distribution& distribution) const;  // kept, entropy

 private:
  std::vector<std::string> names_;  // of --probs
  std::vector<double> probabilities_;
  ModelText text_;
  std::vector<float> logits_;
};

// The names and probabilities of "a=0.4,b=0.6". UsageError unless each is a name, once, with a probability in [0, 1],
// and they sum to 1 within 1e-6.
std::pair<std::vector<std::string>, std::vector<double>> ParseProbabilities(const std::string& text);

void AddExplainAttention(CLI::App& group, Common& common);
void AddExplainDecoding(CLI::App& group, Common& common);
void AddExplainMask(CLI::App& group, Common& common);
void AddExplainSteps(CLI::App& group, Common& common);
void AddExplainTeacherForcing(CLI::App& group, Common& common);
void AddExplainTemperature(CLI::App& group, Common& common);

}  // namespace kinetok::cli
