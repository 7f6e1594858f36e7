// Filters over the tokens that may still be chosen: top-k, top-p, min-p, typical-p, and temperature.
//
// Probabilities are softmax over the candidates that are left, so each filter sees those of the one before it
// renormalised. Whatever comes within a relative 1e-7 of a threshold reaches it: 0.4 + 0.3 is 0.7, although no binary
// number is. Everything is double, with the functions of base/math.h: the same logits keep the same tokens everywhere.
#pragma once

#include <cstdint>
#include <vector>

namespace kinetok {

// A token that may still be chosen.
struct Candidate {
  int32_t token = 0;
  double logit = 0;
};

// Never empty; ascending in token. Every filter keeps it so.
using Candidates = std::vector<Candidate>;

// a goes before b: the greater logit, then the lower id.
inline bool Likelier(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

// What KeepTopK does with tokens exactly as likely as the k-th.
enum class TopKTies : uint8_t {
  kLowerId,  // exactly k tokens, the lower ids among the tied: llama.cpp's count, made deterministic
  kAll,      // all of them, so there may be more than k: transformers
};

// Logits divided by `temperature` > 0.
void ApplyTemperature(Candidates& candidates, double temperature);
// Keeps the min(k, size) likeliest; k >= 1.
void KeepTopK(Candidates& candidates, int64_t k, TopKTies ties = TopKTies::kLowerId);
// Keeps the smallest set whose probabilities sum to >= p, likeliest first, the lower id on a tie; at least one
// (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration").
void KeepTopP(Candidates& candidates, double p);
// Drops what is less likely than min_p times the likeliest (Nguyen et al. 2024, "Turning Up the Heat").
void KeepMinP(Candidates& candidates, double min_p);
// Keeps the smallest set whose probabilities sum to >= p, those first whose surprise -log(probability) is nearest to
// the entropy, the lower id on a tie; at least one. The likeliest token may go (Meister et al. 2023, "Locally Typical
// Sampling").
void KeepTypicalP(Candidates& candidates, double p);

// softmax of the candidates' logits, in their order. Throws Error when a logit is NaN or none is finite.
std::vector<double> Probabilities(const Candidates& candidates);
// The same as weights Exp(logit - greatest), in place of the logits; returns their sum.
double Exponentiate(Candidates& candidates);

}  // namespace kinetok
