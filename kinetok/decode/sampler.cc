#include "kinetok/decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"
#include "kinetok/base/random.h"

namespace kinetok {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Calls visit(field, id) for every id that the options name.
template <class Visit>
void ForEachId(const SamplerOptions& options, Visit visit) {
  for (const TokenBias& b : options.logit_bias) visit("logit_bias", b.token);
  for (const auto& word : options.bad_words) {
    for (const int32_t id : word) visit("bad_words", id);
  }
  for (const auto& set : options.allowed_tokens) {
    for (const int32_t id : set) visit("allowed_tokens", id);
  }
}

void CheckShare(const char* field, double value) {
  if (!(value > 0 && value <= 1)) Fail("{} is {}; it must be above 0 and at most 1", field, value);
}

void CheckFinite(const char* field, double value) {
  if (!std::isfinite(value)) Fail("{} is {}; it must be a finite number", field, value);
}

// The tokens with a logit above -infinity.
template <class Logit>
void FillCandidates(std::span<const Logit> logits, Candidates& candidates) {
  constexpr Logit kLeast = -std::numeric_limits<Logit>::infinity();
  Logit greatest = kLeast;
  bool has_nan = false;
  candidates.resize(logits.size());
  size_t count = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const Logit value = logits[i];
    has_nan |= std::isnan(value);
    greatest = std::max(greatest, value);
    candidates[count] = {static_cast<int32_t>(i), static_cast<double>(value)};
    count += value != kLeast ? 1 : 0;
  }
  candidates.resize(count);
  if (has_nan) Fail("the model's logits hold NaN: its weights are damaged, or a value overflowed");
  if (!std::isfinite(greatest)) {
    Fail("the model's greatest logit is {}, expected a finite number: its weights are damaged, or a value overflowed",
         greatest);
  }
}

Distribution DistributionOf(Candidates candidates) {
  const double total = Exponentiate(candidates);
  std::sort(candidates.begin(), candidates.end(), Likelier);
  Distribution out;
  for (const Candidate& c : candidates) {
    const double p = c.logit / total;
    if (p == 0) continue;  // underflowed
    out.kept.push_back({c.token, p});
    out.entropy -= p * Log(p);
  }
  out.entropy = std::max(out.entropy, 0.0);  // not -0
  return out;
}

}  // namespace

FilterOrder ParseFilterOrder(std::string_view name) {
  if (name == "hf") return FilterOrder::kHuggingFace;
  if (name == "llama.cpp") return FilterOrder::kLlamaCpp;
  Fail("order is \"{}\"; it must be \"hf\" or \"llama.cpp\"", name);
}

void SamplerOptions::Check() const {
  if (!std::isfinite(temperature) || temperature < 0) {
    Fail("temperature is {}; it must be 0 (greedy) or a positive number", temperature);
  }
  if (top_k < 0) Fail("top_k is {}; it must be 0 (all tokens) or more", top_k);
  CheckShare("top_p", top_p);
  if (!(min_p >= 0 && min_p <= 1)) Fail("min_p is {}; it must be at least 0 and at most 1", min_p);
  CheckShare("typical_p", typical_p);
  if (!std::isfinite(repetition_penalty) || repetition_penalty <= 0) {
    Fail("repetition_penalty is {}; it must be a positive number (1: none)", repetition_penalty);
  }
  CheckFinite("presence_penalty", presence_penalty);
  CheckFinite("frequency_penalty", frequency_penalty);
  if (no_repeat_ngram_size < 0) {
    Fail("no_repeat_ngram_size is {}; it must be 0 (any may repeat) or more", no_repeat_ngram_size);
  }
  if (min_new_tokens < 0) Fail("min_new_tokens is {}; it must be 0 or more", min_new_tokens);
  for (const TokenBias& b : logit_bias) {
    if (std::isnan(b.bias) || b.bias == kInfinity) {
      Fail("logit_bias is {} for token {}; it must be a finite number or -inf", b.bias, b.token);
    }
  }
  const auto is_empty = [](const std::vector<int32_t>& ids) { return ids.empty(); };
  if (std::any_of(bad_words.begin(), bad_words.end(), is_empty)) Fail("bad_words holds an empty sequence of tokens");
  if (std::any_of(allowed_tokens.begin(), allowed_tokens.end(), is_empty)) Fail("allowed_tokens holds an empty set");
  ForEachId(*this, [](const char* field, int32_t id) {
    if (id < 0) Fail("{} names token {}; an id is 0 or more", field, id);
  });
}

void SamplerOptions::CheckIds(int64_t vocab_size) const {
  ForEachId(*this, [&](const char* field, int32_t id) {
    if (id >= vocab_size) Fail("{} names token {}, the model's vocabulary has {}", field, id, vocab_size);
  });
}

bool SamplerOptions::has_processors() const {
  return !logit_bias.empty() || repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0 ||
         no_repeat_ngram_size > 0 || !bad_words.empty() || min_new_tokens > 0 || !allowed_tokens.empty();
}

bool ProcessLogits(const SamplerOptions& options, const History& history, std::span<double> logits) {
  const std::span<const int32_t> generated = history.generated();
  ApplyLogitBias(logits, options.logit_bias);
  if (options.repetition_penalty != 1) ApplyRepetitionPenalty(logits, history.tokens, options.repetition_penalty);
  if (options.presence_penalty != 0 || options.frequency_penalty != 0) {
    ApplyCountPenalties(logits, generated, options.presence_penalty, options.frequency_penalty);
  }
  if (options.no_repeat_ngram_size > 0) BanRepeatedNgrams(logits, history.tokens, options.no_repeat_ngram_size);
  BanWords(logits, history.tokens, options.bad_words);
  if (static_cast<int64_t>(generated.size()) < options.min_new_tokens) BanTokens(logits, history.eos);
  if (!options.allowed_tokens.empty()) {
    KeepTokens(logits, options.allowed_tokens[std::min(generated.size(), options.allowed_tokens.size() - 1)]);
  }
  return std::any_of(logits.begin(), logits.end(), [](double v) { return v != -kInfinity; });
}

void FailNoTokenLeft(size_t index, int64_t vocab_size) {
  Fail(
      "no token is left to choose new token {} from: logit_bias, no_repeat_ngram_size, bad_words, min_new_tokens and "
      "allowed_tokens together ban the whole vocabulary of {}",
      index, vocab_size);
}

Sampler::Sampler(const SamplerOptions& options) : options_(options) {
  options_.Check();
  if (options_.is_greedy()) return;
  const SamplerOptions& o = options_;
  using Filter = std::function<void(Candidates&)>;
  Filter temperature, top_k, top_p, min_p, typical_p;
  if (o.temperature != 1) temperature = [t = o.temperature](Candidates& c) { ApplyTemperature(c, t); };
  if (o.top_k > 0) top_k = [k = o.top_k, ties = o.top_k_ties](Candidates& c) { KeepTopK(c, k, ties); };
  if (o.top_p < 1) top_p = [p = o.top_p](Candidates& c) { KeepTopP(c, p); };
  if (o.min_p > 0) min_p = [p = o.min_p](Candidates& c) { KeepMinP(c, p); };
  if (o.typical_p < 1) typical_p = [p = o.typical_p](Candidates& c) { KeepTypicalP(c, p); };
  filters_ = o.order == FilterOrder::kHuggingFace ? std::vector<Filter>{temperature, top_k, top_p, min_p, typical_p}
                                                  : std::vector<Filter>{top_k, typical_p, top_p, min_p, temperature};
  std::erase(filters_, nullptr);
}

const Candidates& Sampler::Filter() {
  if (options_.is_greedy()) KeepTopK(candidates_, 1);
  for (const auto& filter : filters_) filter(candidates_);
  return candidates_;
}

const Candidates& Sampler::Keep(Span<const float> logits, const History& history) {
  if (options_.has_processors()) {
    processed_.assign(logits.begin(), logits.end());
    return Keep(processed_, history);
  }
  FillCandidates(logits, candidates_);
  return Filter();
}

const Candidates& Sampler::Keep(std::span<const double> logits, const History& history) {
  if (options_.has_processors()) {
    if (logits.data() != processed_.data()) processed_.assign(logits.begin(), logits.end());
    if (!ProcessLogits(options_, history, processed_)) {
      FailNoTokenLeft(history.generated().size(), static_cast<int64_t>(logits.size()));
    }
    logits = processed_;
  }
  FillCandidates(logits, candidates_);
  return Filter();
}

int32_t Sampler::Choose(Span<const float> logits, int64_t position, const History& history) {
  if (options_.is_greedy() && !options_.has_processors()) return Argmax(logits);
  Keep(logits, history);
  const double total = Exponentiate(candidates_);  // from here on weights
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

Distribution Distribute(Span<const float> logits, const SamplerOptions& options, const History& history) {
  return DistributionOf(Sampler(options).Keep(logits, history));
}

Distribution DistributeProbabilities(std::span<const double> probabilities, const SamplerOptions& options,
                                     const History& history) {
  std::vector<double> logits;
  for (const double p : probabilities) {
    if (!(p >= 0) || std::isinf(p)) Fail("a probability is {}, expected a number from 0", p);
    logits.push_back(Log(p));
  }
  if (std::all_of(probabilities.begin(), probabilities.end(), [](double p) { return p == 0; })) {
    Fail("no probability is above 0");
  }
  return DistributionOf(Sampler(options).Keep(logits, history));
}

}  // namespace kinetok
