// The one loop that text, batches, actions and the server share: sequences (sequences.h) with a sampler each.
//
//   Engine engine(context, model);
//   engine.Add(prompt, {.max_new_tokens = 20});
//   while (!engine.idle()) for (const NewToken& t : engine.Step()) ...
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "kinetok/decode/new_token.h"
#include "kinetok/decode/sampler.h"
#include "kinetok/decode/sequences.h"
#include "kinetok/kernels/context.h"
#include "kinetok/model/model.h"

namespace kinetok {

struct EngineOptions {
  int64_t prefill_rows = 512;  // prompt tokens that one Step takes at most, all sequences together
};

class Engine {
 public:
  // `context` must outlive the engine, and be used by one engine at a time.
  Engine(Context& context, std::shared_ptr<const Model> model, EngineOptions options = {});

  // `samples` >= 1 new sequences that continue one prompt, which runs through the model once; sample i draws as number
  // options.sampler.sequence + i. Their numbers follow each other from the one returned; numbers count from 0 and are
  // never given again. Throws Error as CheckPrompt, SequenceOptions::Check and SamplerOptions::CheckIds do.
  int Add(const Prompt& prompt, const SequenceOptions& options, int samples = 1);

  // Runs the model once over what every sequence has waiting. Gives the new token of each sequence whose prompt is
  // through, in the order of Add; a finished sequence is gone. Valid until the next call.
  std::span<const NewToken> Step();

  // Ends a sequence early. No effect when it is gone already.
  void Remove(int sequence);

  bool idle() const { return live_.empty(); }
  int64_t running() const { return static_cast<int64_t>(live_.size()); }

 private:
  struct Live {
    int run = 0;  // its number among runs_; the samples of a prompt share one until it is through
    size_t prompt_tokens = 0;
    int64_t limit = 0;  // new tokens
    SequenceOptions options;
    Sampler sampler;
  };
  NewToken Choose(Live& live, Span<const float> logits);

  std::shared_ptr<const Model> model_;
  Sequences runs_;
  std::map<int, Live> live_;  // by number, so in the order of Add
  std::vector<NewToken> new_tokens_;
  int next_id_ = 0;
};

}  // namespace kinetok
