#include "kinetok/decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"
#include "kinetok/base/random.h"

namespace kinetok {
namespace {

bool Likelier(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

// Keeps `last` and what is likelier; order is kept too.
void DropBelow(Candidates& candidates, const Candidate& last) {
  std::erase_if(candidates, [&](const Candidate& c) { return Likelier(last, c); });
}

template <class List, class Logit>
double GreatestLogit(const List& list, Logit logit) {
  double greatest = -std::numeric_limits<double>::infinity();
  for (const auto& item : list) {
    const double value = logit(item);
    if (std::isnan(value)) Fail("the model's logits hold NaN: its weights are damaged, or a value overflowed");
    greatest = std::max(greatest, value);
  }
  if (!std::isfinite(greatest)) {
    Fail("the model's greatest logit is {}, expected a finite number: its weights are damaged, or a value overflowed",
         greatest);
  }
  return greatest;
}

}  // namespace

void SamplerOptions::Check() const {
  if (!std::isfinite(temperature) || temperature < 0) {
    Fail("temperature is {}; it must be 0 (greedy) or a positive number", temperature);
  }
  if (top_k < 0) Fail("top_k is {}; it must be 0 (all tokens) or more", top_k);
  if (!(top_p > 0 && top_p <= 1)) Fail("top_p is {}; it must be above 0 and at most 1", top_p);
}

void ApplyTemperature(Candidates& candidates, double temperature) {
  // Relative to the greatest, so that a tiny temperature cannot make it overflow.
  const double greatest = GreatestLogit(candidates, [](const Candidate& c) { return c.logit; });
  for (Candidate& c : candidates) c.logit = (c.logit - greatest) / temperature;
}

void KeepTopK(Candidates& candidates, int64_t k) {
  if (k >= static_cast<int64_t>(candidates.size())) return;
  Candidates order = candidates;
  std::nth_element(order.begin(), order.begin() + (k - 1), order.end(), Likelier);
  DropBelow(candidates, order[static_cast<size_t>(k - 1)]);
}

void KeepTopP(Candidates& candidates, double p) {
  if (p >= 1) return;
  const double greatest = GreatestLogit(candidates, [](const Candidate& c) { return c.logit; });
  double total = 0;
  for (const Candidate& c : candidates) total += Exp(c.logit - greatest);
  const double target = p * total * (1 - 1e-7);

  // The set is usually small: sort ever longer prefixes instead of everything.
  Candidates order = candidates;
  double sum = 0;
  size_t sorted = 0;
  for (size_t next = 64; sorted < order.size(); next *= 4) {
    const size_t end = std::min(next, order.size());
    const auto first = order.begin() + static_cast<std::ptrdiff_t>(sorted);
    std::partial_sort(first, order.begin() + static_cast<std::ptrdiff_t>(end), order.end(), Likelier);
    for (; sorted < end; ++sorted) {
      sum += Exp(order[sorted].logit - greatest);
      if (sum >= target) {
        DropBelow(candidates, order[sorted]);
        return;
      }
    }
  }
}

std::vector<double> Probabilities(const Candidates& candidates) {
  const double greatest = GreatestLogit(candidates, [](const Candidate& c) { return c.logit; });
  std::vector<double> p(candidates.size());
  double total = 0;
  for (size_t i = 0; i < p.size(); ++i) total += p[i] = Exp(candidates[i].logit - greatest);
  for (double& value : p) value /= total;
  return p;
}

int32_t Argmax(Span<const float> logits) {
  GreatestLogit(logits, [](float v) { return static_cast<double>(v); });
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double LogProbability(Span<const float> logits, int32_t token) {
  const double greatest = GreatestLogit(logits, [](float v) { return static_cast<double>(v); });
  double total = 0;
  for (float v : logits) total += Exp(static_cast<double>(v) - greatest);
  return static_cast<double>(logits[static_cast<size_t>(token)]) - greatest - Log(total);
}

Sampler::Sampler(const SamplerOptions& options) : options_(options) {
  options_.Check();
  options_.greedy = options_.greedy || options_.temperature == 0;
  if (options_.greedy) return;
  if (options_.temperature != 1) {
    chain_.emplace_back([t = options_.temperature](Candidates& c) { ApplyTemperature(c, t); });
  }
  if (options_.top_k > 0) {
    chain_.emplace_back([k = options_.top_k](Candidates& c) { KeepTopK(c, k); });
  }
  if (options_.top_p < 1) {
    chain_.emplace_back([p = options_.top_p](Candidates& c) { KeepTopP(c, p); });
  }
}

int32_t Sampler::Choose(Span<const float> logits, int64_t position) {
  if (options_.greedy) return Argmax(logits);
  candidates_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) candidates_[i] = {static_cast<int32_t>(i), logits[i]};
  for (const Processor& process : chain_) process(candidates_);

  const double greatest = GreatestLogit(candidates_, [](const Candidate& c) { return c.logit; });
  double total = 0;
  for (Candidate& c : candidates_) {
    c.logit = Exp(c.logit - greatest);  // from here on a weight
    total += c.logit;
  }
  const Philox4 bits =
      RandomBits(options_.seed, RandomStream::kSample, options_.sequence, static_cast<uint64_t>(position));
  const double target = UniformDouble(bits[0], bits[1]) * total;
  double sum = 0;
  int32_t token = candidates_.front().token;
  for (const Candidate& c : candidates_) {
    if (c.logit == 0) continue;  // underflowed: never drawn, not even by rounding
    token = c.token;
    sum += c.logit;
    if (sum > target) break;
  }
  return token;
}

}  // namespace kinetok
