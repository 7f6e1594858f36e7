// The flags that choose the next token, for every command that generates.
#pragma once

#include <string>
#include <vector>

#include "cli/cli.h"
#include "kinetok/decode/generate.h"

namespace kinetok::cli {

// --greedy, --temperature, --top-k, --top-k-ties, --top-p, --min-p, --typical-p and --order.
class DrawingFlags {
 public:
  void Add(CLI::App* command, SamplerOptions& options);
  bool given() const;  // any of them
  // Reads the order and the rule of ties into `options`. Throws Error that starts with the field's name.
  void Read(SamplerOptions& options) const;

 private:
  std::string order_ = "hf";
  bool top_k_ties_ = false;
  std::vector<CLI::Option*> all_;
};

class SamplingFlags {
 public:
  GenerateOptions options;

  void Add(CLI::App* command);
  // Reads what needs no model. UsageError naming the flag.
  void Check();
  // Reads what does: words to ban, ids of the vocabulary.
  void Bind(const Model& model);

 private:
  DrawingFlags drawing_;
  std::string early_stopping_ = "false", allowed_tokens_;
  std::vector<std::string> logit_bias_, bad_words_;
  CLI::Option* allowed_option_ = nullptr;
};

}  // namespace kinetok::cli
