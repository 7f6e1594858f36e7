// The flags that choose the next token, for every command that generates.
#pragma once

#include <string>
#include <vector>

#include "cli/cli.h"
#include "kinetok/decode/generate.h"

namespace kinetok::cli {

class SamplingFlags {
 public:
  GenerateOptions options;

  void Add(CLI::App* command);
  // Reads what needs no model. UsageError naming the flag.
  void Check();
  // Reads what does: words to ban, ids of the vocabulary.
  void Bind(const Model& model);

 private:
  std::string order_ = "hf", early_stopping_ = "false", allowed_tokens_;
  std::vector<std::string> logit_bias_, bad_words_;
  bool top_k_ties_ = false;
  CLI::Option* allowed_option_ = nullptr;
};

}  // namespace kinetok::cli
