// config.json files for the tests and the fuzzer's seeds: a valid GPT-2 with one more field, and what is wrong with
// others.
#pragma once

#include <string>
#include <vector>

namespace kinetok {

// A small valid GPT-2, with `more` before its closing brace.
inline std::string Gpt2With(const std::string& more) {
  return R"({"model_type": "gpt2", "vocab_size": 50, "n_embd": 12, "n_layer": 2, "n_head": 3, "n_positions": 16)" +
         more + "}";
}

struct ConfigCase {
  std::string text;
  std::string error;  // part of the message
};

inline std::vector<ConfigCase> FaultyConfigs() {
  return {
      {R"({"model_type": "gpt2", "n_embd": 12})", "\"vocab_size\" is missing"},
      {R"({"model_type": "gpt2", "vocab_size": null})", "\"vocab_size\" is null"},
      {R"({"model_type": "gpt2", "vocab_size": "many"})", "\"many\""},
      {R"({"model_type": "gpt2", "vocab_size": -5})", "-5"},
      {R"({"model_type": "mamba"})", "mamba"},
      {"[1, 2]", "expected a JSON object"},
      {"{\"model_type\": \"gpt2\"", "not valid JSON"},
      {"", "config.json"},
      {"{\"model_type\": \"\xff\"}", "config.json"},
      {R"({"model_type": "gpt2", "vocab_size": 50, "n_embd": 12, "n_layer": 2, "n_head": 5, "n_positions": 16})",
       "n_head"},
      {Gpt2With(R"(, "activation_function": "relu")"), "relu"},
      {Gpt2With(R"(, "add_cross_attention": true)"), "add_cross_attention"},
      {Gpt2With(R"(, "quantization_config": {"bits": 4})"), "quantization_config"},
      {Gpt2With(R"(, "eos_token_id": -1)"), "eos_token_id"},
      {Gpt2With(R"(, "eos_token_id": [3, "x"])"), "eos_token_id"},
      {Gpt2With(R"(, "resid_pdrop": 1.5)"), "resid_pdrop"},
      {Gpt2With(R"(, "sliding_window": 128)"), "sliding_window"},
      {Gpt2With(R"(, "partial_rotary_factor": 0.5)"), "partial_rotary_factor"},
      {Gpt2With(R"(, "num_local_experts": 8)"), "num_local_experts"},
  };
}

}  // namespace kinetok
