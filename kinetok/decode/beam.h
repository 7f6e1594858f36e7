// Beam search: of the continuations of the `num_beams` likeliest texts so far, keep the likeliest again.
//
//   score of a text = sum of its log-probabilities / (its new tokens)^length_penalty
//
// The rules are transformers': at each step the max(2, 1 + ends) * num_beams likeliest continuations are looked at; one
// that ends (an end-of-text token, a stop string, the limit) is a result when it is among the first num_beams of them,
// and the best num_beams that do not end go on. Processors act on log-probabilities, not on logits, and what they leave
// is not renormalised. On a tie the likelier beam, then the lower id, goes first.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kinetok/decode/new_token.h"
#include "kinetok/decode/sequences.h"
#include "kinetok/decode/text_stream.h"

namespace kinetok {

// When a search with num_beams results ends.
enum class EarlyStopping : uint8_t {
  kFalse,  // when the best running text, at its present length, does not beat the worst result
  kTrue,   // at once
  kNever,  // when it could not beat it at the limit's length either (length_penalty > 0)
};
EarlyStopping ParseEarlyStopping(std::string_view name);  // "false", "true", "never"; Error that starts with the field

struct BeamOptions {
  int64_t num_beams = 1;      // 1: no beam search
  double length_penalty = 1;  // 0: the sum alone; above 0 longer texts are favoured, below 0 shorter ones
  EarlyStopping early_stopping = EarlyStopping::kFalse;

  void Check() const;  // Throws Error that starts with the field's name
};

struct Hypothesis {
  std::vector<NewToken> tokens;
  double score = 0;
};

// The search of one prompt among `sequences`, where many may run side by side.
class BeamSearch {
 public:
  using LogitsOf = std::unordered_map<int, Span<const float>>;  // of the sequences that a Step gave

  // `sequences` and `config` must outlive it.
  BeamSearch(Sequences& sequences, const ModelConfig& config, const Prompt& prompt, const SequenceOptions& options,
             const BeamOptions& beams, const TextStream& stream);
  ~BeamSearch();
  BeamSearch(const BeamSearch&) = delete;
  BeamSearch& operator=(const BeamSearch&) = delete;

  // Takes what Sequences::Step gave. Nothing happens while the prompt is on its way; false then. Throws Error when the
  // processors leave no token to any beam and there is no result.
  bool Advance(const LogitsOf& ready);
  bool done() const { return beams_.empty(); }
  // The results, best first, at most `count`; before any, the texts so far.
  std::vector<Hypothesis> Best(int64_t count) const;

 private:
  struct Beam {
    int run = 0;  // its number among sequences_
    double sum = 0;
    int node = -1;  // its last token; -1: none yet
    TextStream stream;
  };
  struct Node {  // a token and the one before it
    NewToken token;
    int parent = -1;
  };
  struct Result {
    double score = 0;
    int node = -1;
  };
  struct Extension {
    double sum = 0;
    size_t beam = 0;
    int32_t token = 0;
  };
  std::vector<Extension> BestExtensions(const LogitsOf& ready) const;
  void KeepBestResults();
  void Continue(std::vector<Beam> next, const std::vector<size_t>& parents);
  bool CanStop(double best_sum) const;
  double Score(double sum, int64_t length) const;
  void EndSearch();
  Hypothesis Trace(int node, double score) const;

  Sequences& sequences_;
  const ModelConfig& config_;
  SequenceOptions options_;
  BeamOptions settings_;
  size_t prompt_tokens_;
  int64_t limit_;            // new tokens
  int64_t count_ = 0;        // new tokens of every running text
  std::vector<Beam> beams_;  // best first; empty: the search has ended
  std::vector<Node> nodes_;
  std::vector<Result> results_;  // best first, at most num_beams
};

}  // namespace kinetok
