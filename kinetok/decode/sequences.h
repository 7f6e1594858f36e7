// Sequences of any lengths that advance together: prompts in bounded pieces beside single new tokens. Who chooses the
// tokens is the caller: Engine with a sampler each, beam search by comparing sequences. Neither the pieces nor the
// company change a bit of a sequence's logits.
//
//   Sequences sequences(context, model, 512);
//   const int id = sequences.Add(prompt);
//   for (const Sequences::Ready& r : sequences.Step()) sequences.Append(r.id, Argmax(r.logits));
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "kinetok/kernels/context.h"
#include "kinetok/model/kv_cache.h"
#include "kinetok/model/model.h"

namespace kinetok {

// A list of positions, each a token or an embedding (an image's patch) in its place.
struct Prompt {
  static constexpr int32_t kEmbedding = -1;

  std::span<const int32_t> tokens;    // kEmbedding: the next row of `embeddings`
  Rows<const float> embeddings = {};  // [kEmbedding tokens, hidden_size], copied by those who keep them

  Prompt(std::span<const int32_t> ids) : tokens(ids) {}     // NOLINT(google-explicit-constructor)
  Prompt(const std::vector<int32_t>& ids) : tokens(ids) {}  // NOLINT(google-explicit-constructor)
  Prompt(std::span<const int32_t> ids, Rows<const float> rows) : tokens(ids), embeddings(rows) {}
};

// Throws Error when the prompt is empty or longer than the model's context, an id is outside the vocabulary, or the
// embeddings are not as many and as wide as they must be.
void CheckPrompt(const ModelConfig& config, const Prompt& prompt);

class Sequences {
 public:
  // `context` must outlive them. A Step takes at most `prefill_rows` >= 1 tokens of prompts, all sequences together.
  Sequences(Context& context, std::shared_ptr<const Model> model, int64_t prefill_rows);

  // A new sequence; its number (0, 1, 2, ...) is never given again. Throws Error as CheckPrompt does.
  int Add(const Prompt& prompt);
  // A new sequence with the tokens of `id`, which must have come out of the last Step: its past is shared, not computed
  // again.
  int Fork(int id);
  // The next token of a sequence that came out of the last Step.
  void Append(int id, int32_t token);
  void Remove(int id);

  struct Ready {
    int id = 0;
    Span<const float> logits;  // [vocab_size], after the sequence's last token
  };
  // Runs the model once over what every sequence has waiting. Gives those that have nothing waiting any more, in the
  // order of Add and Fork; each then needs a token or Remove. Valid until the next Step.
  std::span<const Ready> Step();

  std::span<const int32_t> tokens(int id) const { return sequences_.at(id).tokens; }
  int64_t size() const { return static_cast<int64_t>(sequences_.size()); }

 private:
  struct Sequence {
    int cache_id = 0;
    std::vector<int32_t> tokens;
    std::shared_ptr<const std::vector<float>> embeddings;  // of the prompt; null without
    int64_t done = 0;                                      // tokens that the cache holds
    int64_t embedded = 0;                                  // of `done`, those that were embeddings
  };

  Context& context_;
  std::shared_ptr<const Model> model_;
  int64_t prefill_rows_;
  KvCache cache_;
  Workspace workspace_;
  std::map<int, Sequence> sequences_;  // by number, so in the order of Add and Fork
  std::vector<BatchRow> rows_;
  std::vector<Ready> ready_;
  int next_id_ = 0;
};

}  // namespace kinetok
