// From logits to a token: a chain of processors over a list of candidates, then a draw.
//
// The order is Hugging Face's: temperature, top-k, top-p. Probabilities are double, with the functions of base/math.h,
// so that the same logits give the same token everywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "kinetok/tensor/views.h"

namespace kinetok {

struct SamplerOptions {
  bool greedy = false;     // the likeliest token, the lower id on a tie; the other fields then play no part
  double temperature = 1;  // logits are divided by it; 0 is greedy
  int64_t top_k = 0;       // only the k likeliest tokens, the lower id on a tie; 0: all
  double top_p = 1;        // only the smallest set of likeliest tokens whose probabilities sum to at least this
  uint64_t seed = 0;
  uint32_t sequence = 0;  // tells apart several samples of one prompt under one seed

  // Throws Error that starts with the field's name: temperature < 0 or not finite, top_k < 0, top_p outside (0, 1].
  void Check() const;
};

// A token that may still be chosen.
struct Candidate {
  int32_t token = 0;
  double logit = 0;
};

// Never empty; ascending in token. Every processor keeps it so.
using Candidates = std::vector<Candidate>;
using Processor = std::function<void(Candidates&)>;

// Logits divided by `temperature` > 0.
void ApplyTemperature(Candidates& candidates, double temperature);
// Keeps exactly min(k, size) candidates, the lower id on a tie; k >= 1.
void KeepTopK(Candidates& candidates, int64_t k);
// Keeps the smallest set whose probabilities sum to >= p, likeliest first, the lower id on a tie; at least one. Sums
// within 1e-7 of p reach it: 0.4 + 0.3 is 0.7, although no binary number is (Holtzman et al. 2020).
void KeepTopP(Candidates& candidates, double p);

// softmax of the candidates' logits, in their order. Throws Error when a logit is NaN or none is finite.
std::vector<double> Probabilities(const Candidates& candidates);

// The token with the greatest logit, the lower id on a tie. Throws Error when a logit is NaN or none is finite.
int32_t Argmax(Span<const float> logits);
// log(softmax(logits)[token]).
double LogProbability(Span<const float> logits, int32_t token);

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options);  // Throws Error as SamplerOptions::Check

  // The token at `position` of the sequence, given the logits [vocab_size] before it. A draw inverts the cumulative
  // distribution of the kept candidates, ids ascending, at a number that depends on (seed, sequence, position) alone.
  int32_t Choose(Span<const float> logits, int64_t position);

 private:
  SamplerOptions options_;
  std::vector<Processor> chain_;
  Candidates candidates_;
};

}  // namespace kinetok
