// Continues prompts: the engine's loop, with text.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/decode/engine.h"

namespace kinetok {

struct GenerateOptions {
  SamplerOptions sampler = {};
  int64_t max_new_tokens = 256;        // fewer when the context ends
  std::vector<std::string> stop = {};  // ends the text before the first of these that appears in it, also across tokens
  bool ignore_eos = false;             // go on after the model's end-of-text token
  bool logprobs = false;               // fill Token.logprob and Generation.logprobs
  int64_t max_batch = 64;              // prompts of a batch that advance together; the next begins as one ends

  // Throws Error that starts with the field's name, as the sampler's does.
  void Check() const;
};

struct Token {
  int32_t id = 0;
  // The text that became certain with this token: whole UTF-8 characters, or nothing while one is incomplete or a stop
  // string may be beginning. The texts of all tokens add up to Generation.text.
  std::string text;
  double logprob = 0;  // natural logarithm, under the model's own distribution
};

enum class Flow : uint8_t {
  kContinue,
  kStop,     // ends this text
  kStopAll,  // ends every text of the batch, those that have not begun included
};
using TokenCallback = std::function<Flow(const Token&)>;
using BatchCallback = std::function<Flow(size_t prompt, const Token&)>;  // `prompt` is an index into the batch

struct Timings {
  double prefill_s = 0, decode_s = 0;
  int64_t prefill_tokens = 0, decode_tokens = 0;
  // 0 when nothing was measured. The first new token comes out of the prompt's pass and counts as no decoding.
  double prefill_tokens_per_s() const { return prefill_s > 0 ? static_cast<double>(prefill_tokens) / prefill_s : 0; }
  double decode_tokens_per_s() const { return decode_s > 0 ? static_cast<double>(decode_tokens) / decode_s : 0; }
};

struct Generation {
  int64_t prompt_tokens = 0;
  std::vector<int32_t> tokens;   // new ones; an end-of-text token that ended it is the last
  std::string text;              // without special tokens and without the stop string; empty without a tokenizer
  std::vector<double> logprobs;  // of `tokens`, when asked for
  FinishReason finish_reason = FinishReason::kLength;
  Timings timings;  // of a batch: of the whole batch, the same in each
};

// The ids of a prompt, with what the model expects before a text (BOS). Throws Error when the model has no tokenizer,
// or the text is empty or not UTF-8 (naming the byte).
std::vector<int32_t> EncodePrompt(const Model& model, std::string_view text, bool parse_special = true);

// Continues `prompt` one token at a time, calling `on_token` for each; kStop ends it. The same request gives the same
// tokens on any number of threads, in any batch, on any instruction set. Without a tokenizer, ids come and go and stop
// strings are an Error. Throws Error as Engine::Add and EncodePrompt do.
Generation Generate(Context& context, const std::shared_ptr<const Model>& model, std::span<const int32_t> prompt,
                    const GenerateOptions& options = {}, const TokenCallback& on_token = {});
Generation Generate(Context& context, const std::shared_ptr<const Model>& model, std::string_view prompt,
                    const GenerateOptions& options = {}, const TokenCallback& on_token = {});

// Many prompts as one ragged batch; result i is what Generate gives for prompt i. Throws Error also when the
// keys and values of the sequences that run together need more memory than is free.
std::vector<Generation> GenerateBatch(Context& context, const std::shared_ptr<const Model>& model,
                                      std::span<const std::vector<int32_t>> prompts,
                                      const GenerateOptions& options = {}, const BatchCallback& on_token = {});

}  // namespace kinetok
