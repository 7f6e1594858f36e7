#include "kinetok/decode/processors.h"

#include <algorithm>
#include <limits>

namespace kinetok {
namespace {

constexpr double kBanned = -std::numeric_limits<double>::infinity();

bool IsIn(std::span<double> logits, int32_t token) {
  return token >= 0 && static_cast<size_t>(token) < logits.size();
}

void Ban(std::span<double> logits, int32_t token) {
  if (IsIn(logits, token)) logits[static_cast<size_t>(token)] = kBanned;
}

// Calls visit(token, count) for each distinct token of the vocabulary among `tokens`.
template <class Visit>
void ForEachDistinct(std::span<double> logits, std::span<const int32_t> tokens, Visit visit) {
  std::vector<int32_t> sorted(tokens.begin(), tokens.end());
  std::sort(sorted.begin(), sorted.end());
  for (auto first = sorted.begin(); first != sorted.end();) {
    const auto end = std::upper_bound(first, sorted.end(), *first);
    if (IsIn(logits, *first)) visit(static_cast<size_t>(*first), static_cast<double>(end - first));
    first = end;
  }
}

}  // namespace

void ApplyLogitBias(std::span<double> logits, std::span<const TokenBias> biases) {
  for (const TokenBias& b : biases) {
    if (IsIn(logits, b.token)) logits[static_cast<size_t>(b.token)] += b.bias;
  }
}

void ApplyRepetitionPenalty(std::span<double> logits, std::span<const int32_t> tokens, double penalty) {
  ForEachDistinct(logits, tokens, [&](size_t token, double) {
    double& logit = logits[token];
    logit = logit < 0 ? logit * penalty : logit / penalty;
  });
}

void ApplyCountPenalties(std::span<double> logits, std::span<const int32_t> generated, double presence,
                         double frequency) {
  ForEachDistinct(logits, generated,
                  [&](size_t token, double count) { logits[token] -= presence + frequency * count; });
}

void BanRepeatedNgrams(std::span<double> logits, std::span<const int32_t> tokens, int64_t n) {
  const auto before = static_cast<size_t>(n - 1);  // tokens of an n-gram before its last
  if (tokens.size() <= before) return;
  const std::span<const int32_t> suffix = tokens.last(before);
  for (size_t i = 0; i + before < tokens.size(); ++i) {
    if (std::equal(suffix.begin(), suffix.end(), tokens.begin() + static_cast<std::ptrdiff_t>(i))) {
      Ban(logits, tokens[i + before]);
    }
  }
}

void BanWords(std::span<double> logits, std::span<const int32_t> tokens, std::span<const std::vector<int32_t>> words) {
  for (const std::vector<int32_t>& word : words) {
    const size_t before = word.size() - 1;
    if (before > tokens.size()) continue;
    const std::span<const int32_t> end = tokens.last(before);
    if (std::equal(end.begin(), end.end(), word.begin())) Ban(logits, word.back());
  }
}

void BanTokens(std::span<double> logits, std::span<const int32_t> banned) {
  for (const int32_t token : banned) Ban(logits, token);
}

void KeepTokens(std::span<double> logits, std::span<const int32_t> allowed) {
  std::vector<TokenBias> kept;
  kept.reserve(allowed.size());
  for (const int32_t token : allowed) {
    if (IsIn(logits, token)) kept.push_back({token, logits[static_cast<size_t>(token)]});
  }
  std::fill(logits.begin(), logits.end(), kBanned);
  for (const TokenBias& k : kept) logits[static_cast<size_t>(k.token)] = k.bias;
}

}  // namespace kinetok
