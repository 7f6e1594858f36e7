// The one loop that text, batches, actions and the server share: sequences of any lengths advance together, prompts in
// bounded pieces beside single new tokens. Neither the pieces nor the company change a bit of a sequence.
//
//   Engine engine(context, model);
//   engine.Add(prompt, {.max_new_tokens = 20});
//   while (!engine.idle()) for (const NewToken& t : engine.Step()) ...
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kinetok/decode/sampler.h"
#include "kinetok/kernels/context.h"
#include "kinetok/model/kv_cache.h"
#include "kinetok/model/model.h"

namespace kinetok {

enum class FinishReason : uint8_t {
  kLength,  // max_new_tokens, or the end of the context
  kEos,     // the model's end-of-text token, which is listed among the tokens
  kStop,    // a stop string, or the caller
};
std::string_view FinishReasonName(FinishReason reason);  // "length", "eos", "stop"

struct SequenceOptions {
  SamplerOptions sampler = {};
  int64_t max_new_tokens = 256;
  bool ignore_eos = false;
  bool logprobs = false;  // NewToken.logprob is computed

  void Check() const;  // Throws Error that starts with the field's name
};

struct NewToken {
  int sequence = 0;
  int32_t token = 0;
  double logprob = 0;                       // of `token` under the model's own distribution, before any processor
  std::optional<FinishReason> finish = {};  // set on a sequence's last token
};

// Throws Error when the prompt is empty or longer than the model's context, or an id is outside the vocabulary.
void CheckPrompt(const ModelConfig& config, std::span<const int32_t> prompt);

struct EngineOptions {
  int64_t prefill_rows = 512;  // prompt tokens that one Step takes at most, all sequences together
};

class Engine {
 public:
  // `context` must outlive the engine, and be used by one engine at a time.
  Engine(Context& context, std::shared_ptr<const Model> model, EngineOptions options = {});

  // A new sequence; its number (0, 1, 2, ...) is never given again. Throws Error as CheckPrompt and
  // SequenceOptions::Check do.
  int Add(std::span<const int32_t> prompt, const SequenceOptions& options);

  // Runs the model once over what every sequence has waiting. Gives the new token of each sequence whose prompt is
  // through, in the order of Add; a finished sequence is gone. Valid until the next call.
  std::span<const NewToken> Step();

  // Ends a sequence early. No effect when it is gone already.
  void Remove(int sequence);

  bool idle() const { return sequences_.empty(); }
  int64_t running() const { return static_cast<int64_t>(sequences_.size()); }

 private:
  struct Sequence {
    int id = 0;
    int cache_id = 0;
    std::vector<int32_t> tokens;  // prompt and output
    int64_t done = 0;             // tokens that the cache holds
    int64_t last = 0;             // tokens.size() at which it ends
    SequenceOptions options;
    Sampler sampler;
  };
  NewToken Choose(Sequence& sequence, Span<const float> logits);

  Context& context_;
  std::shared_ptr<const Model> model_;
  EngineOptions options_;
  KvCache cache_;
  Workspace workspace_;
  std::list<Sequence> sequences_;
  std::vector<BatchRow> rows_;
  std::vector<NewToken> new_tokens_;
  int next_id_ = 0;
};

}  // namespace kinetok
