#include "kinetok/decode/log_probability.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"

namespace kinetok {
namespace {

double Greatest(Span<const float> logits) {
  float greatest = -std::numeric_limits<float>::infinity();
  for (const float value : logits) {
    if (std::isnan(value)) Fail("the model's logits hold NaN: its weights are damaged, or a value overflowed");
    greatest = std::max(greatest, value);
  }
  if (!std::isfinite(greatest)) {
    Fail("the model's greatest logit is {}, expected a finite number: its weights are damaged, or a value overflowed",
         greatest);
  }
  return greatest;
}

// log(softmax(logits)[t]) is logits[t] - greatest - log_total.
struct Normaliser {
  double greatest, log_total;
  double operator()(float logit) const { return static_cast<double>(logit) - greatest - log_total; }
};

Normaliser NormaliserOf(Span<const float> logits) {
  const double greatest = Greatest(logits);
  double total = 0;
  for (const float v : logits) total += Exp(static_cast<double>(v) - greatest);
  return {greatest, Log(total)};
}

}  // namespace

int32_t Argmax(Span<const float> logits) {
  Greatest(logits);
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double LogProbability(Span<const float> logits, int32_t token) {
  return NormaliserOf(logits)(logits[static_cast<size_t>(token)]);
}

void LogProbabilities(Span<const float> logits, std::span<double> out) {
  std::transform(logits.begin(), logits.end(), out.begin(), NormaliserOf(logits));
}

std::vector<TokenLogprob> TopLogProbabilities(Span<const float> logits, int64_t count) {
  const Normaliser log_probability = NormaliserOf(logits);
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto logit = [&](int32_t token) { return logits[static_cast<size_t>(token)]; };
  const auto end = order.begin() + std::min(count, static_cast<int64_t>(order.size()));
  std::partial_sort(order.begin(), end, order.end(),
                    [&](int32_t a, int32_t b) { return logit(a) > logit(b) || (logit(a) == logit(b) && a < b); });
  std::vector<TokenLogprob> top;
  for (auto token = order.begin(); token != end; ++token) top.push_back({*token, log_probability(logit(*token))});
  return top;
}

}  // namespace kinetok
