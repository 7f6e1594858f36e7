// Continues prompts: the engine's loop, with text.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/decode/beam.h"
#include "kinetok/decode/engine.h"

namespace kinetok {

struct GenerateOptions {
  SamplerOptions sampler = {};
  int64_t max_new_tokens = 256;        // fewer when the context ends
  std::vector<std::string> stop = {};  // ends the text before the first of these that appears in it, also across tokens
  bool ignore_eos = false;             // go on after the model's end-of-text token
  bool logprobs = false;               // fill Token.logprob and Generation.logprobs
  int64_t top_logprobs = 0;            // fill Token.top_logprobs and Generation.top_logprobs with so many

  BeamOptions beams = {};            // num_beams > 1: beam search, which draws nothing
  int64_t best_of = 1;               // > 1: so many samples of each prompt, of which the best is the result
  int64_t num_return_sequences = 1;  // at most num_beams or best_of: Generation.runners_up are the others

  int64_t max_batch = 64;                // prompts of a batch that advance together; the next begins as one ends
  std::function<bool()> cancelled = {};  // asked before each step: true ends every text where it is, as kStopAll does

  // Throws Error that starts with the field's name, as the sampler's does.
  void Check() const;
  SequenceOptions sequence() const;
};

struct Token {
  int32_t id = 0;
  // The text that became certain with this token: whole UTF-8 characters, or nothing while one is incomplete or a stop
  // string may be beginning. The texts of all tokens add up to Generation.text.
  std::string text;
  double logprob = 0;  // natural logarithm, under the model's own distribution
  std::vector<TokenLogprob> top_logprobs = {};
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
  std::vector<std::vector<TokenLogprob>> top_logprobs;
  FinishReason finish_reason = FinishReason::kLength;
  // Of a beam search: the sum of log-probabilities over a power of the length (beam.h). Of best-of: their mean.
  std::optional<double> score = std::nullopt;
  std::vector<Generation> runners_up = {};  // the next best, best first
  Timings timings;                          // of a batch: of the whole batch, the same in each
};

// The ids of a prompt, with what the model expects before a text (BOS). Throws Error when the model has no tokenizer,
// or the text is empty or not UTF-8 (naming the byte).
std::vector<int32_t> EncodePrompt(const Model& model, std::string_view text, bool parse_special = true);

// The token sequences to ban as bad_words so that `word` does not appear: as the tokenizer writes it at the start of a
// text, and after a space. Throws Error when the model has no tokenizer, or the word is empty or not UTF-8.
std::vector<std::vector<int32_t>> BadWordTokens(const Model& model, std::string_view word);

// Continues `prompt` one token at a time, calling `on_token` for each; kStop ends it. With beams or best-of, the tokens
// come once the best text is known. The same request gives the same tokens on any number of threads, in any batch, on
// any instruction set. Without a tokenizer, ids come and go and stop strings are an Error. Throws Error as Engine::Add
// and EncodePrompt do.
Generation Generate(Context& context, const std::shared_ptr<const Model>& model, const Prompt& prompt,
                    const GenerateOptions& options = {}, const TokenCallback& on_token = {});
Generation Generate(Context& context, const std::shared_ptr<const Model>& model, std::string_view prompt,
                    const GenerateOptions& options = {}, const TokenCallback& on_token = {});

// Many prompts as one ragged batch; result i is what Generate gives for prompt i. Throws Error also when the
// keys and values of the sequences that run together need more memory than is free.
std::vector<Generation> GenerateBatch(Context& context, const std::shared_ptr<const Model>& model,
                                      std::span<const Prompt> prompts, const GenerateOptions& options = {},
                                      const BatchCallback& on_token = {});
std::vector<Generation> GenerateBatch(Context& context, const std::shared_ptr<const Model>& model,
                                      std::span<const std::vector<int32_t>> prompts,
                                      const GenerateOptions& options = {}, const BatchCallback& on_token = {});

}  // namespace kinetok
