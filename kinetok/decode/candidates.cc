#include "kinetok/decode/candidates.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"

namespace kinetok {
namespace {

constexpr double kReaches = 1 - 1e-7;  // times a threshold: what is this near to it reaches it

double Greatest(const Candidates& candidates) {
  double greatest = -std::numeric_limits<double>::infinity();
  for (const Candidate& c : candidates) {
    if (std::isnan(c.logit)) Fail("a candidate's logit is NaN, expected a number");
    greatest = std::max(greatest, c.logit);
  }
  if (!std::isfinite(greatest)) Fail("the candidates' greatest logit is {}, expected a finite number", greatest);
  return greatest;
}

// Keeps `last` and what is likelier; order is kept too.
void DropBelow(Candidates& candidates, const Candidate& last) {
  std::erase_if(candidates, [&](const Candidate& c) { return Likelier(last, c); });
}

// How many of `order`, sorted by `before` as far as needed, have weights that sum to `target`. The set is usually
// small: ever longer prefixes are sorted instead of everything.
template <class Item, class Before, class Weight>
size_t SmallestSet(std::vector<Item>& order, double target, Before before, Weight weight) {
  double sum = 0;
  size_t sorted = 0;
  for (size_t next = 64; sorted < order.size(); next *= 4) {
    const size_t end = std::min(next, order.size());
    const auto first = order.begin() + static_cast<std::ptrdiff_t>(sorted);
    std::partial_sort(first, order.begin() + static_cast<std::ptrdiff_t>(end), order.end(), before);
    for (; sorted < end; ++sorted) {
      sum += weight(order[sorted]);
      if (sum >= target) return sorted + 1;
    }
  }
  return order.size();
}

}  // namespace

void ApplyTemperature(Candidates& candidates, double temperature) {
  // Relative to the greatest, so that a tiny temperature cannot make it overflow.
  const double greatest = Greatest(candidates);
  for (Candidate& c : candidates) c.logit = (c.logit - greatest) / temperature;
}

void KeepTopK(Candidates& candidates, int64_t k, TopKTies ties) {
  if (k >= static_cast<int64_t>(candidates.size())) return;
  std::vector<double> order;
  order.reserve(candidates.size());
  for (const Candidate& c : candidates) order.push_back(c.logit);
  const auto last = order.begin() + (k - 1);
  std::nth_element(order.begin(), last, order.end(), std::greater<>());
  const double least = *last;
  int64_t tied = ties == TopKTies::kAll ? std::numeric_limits<int64_t>::max() : 0;  // that are still to be kept
  if (tied == 0) tied = std::count(order.begin(), last + 1, least);
  std::erase_if(candidates, [&](const Candidate& c) { return c.logit < least || (c.logit == least && tied-- <= 0); });
}

void KeepTopP(Candidates& candidates, double p) {
  if (p >= 1) return;
  const double greatest = Greatest(candidates);
  const auto weight = [&](const Candidate& c) { return Exp(c.logit - greatest); };
  double total = 0;
  for (const Candidate& c : candidates) total += weight(c);
  Candidates order = candidates;
  const size_t count = SmallestSet(order, p * total * kReaches, Likelier, weight);
  DropBelow(candidates, order[count - 1]);
}

void KeepMinP(Candidates& candidates, double min_p) {
  const double greatest = Greatest(candidates);
  std::erase_if(candidates, [&](const Candidate& c) { return Exp(c.logit - greatest) < min_p * kReaches; });
}

void KeepTypicalP(Candidates& candidates, double p) {
  if (p >= 1) return;
  struct Item {
    Candidate candidate;
    double weight, distance;
  };
  const double greatest = Greatest(candidates);
  double total = 0, weighted = 0;
  std::vector<Item> order;
  order.reserve(candidates.size());
  for (const Candidate& c : candidates) {
    const double logit = c.logit - greatest, weight = Exp(logit);
    total += weight;
    if (weight > 0) weighted += weight * logit;  // 0 log 0 is 0
    order.push_back({{c.token, logit}, weight, 0});
  }
  // The surprise of c is log(total) - logit and the entropy its mean, log(total) - weighted / total.
  const double mean = weighted / total;
  for (Item& item : order) item.distance = std::abs(item.candidate.logit - mean);
  const auto nearer = [](const Item& a, const Item& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.candidate.token < b.candidate.token);
  };
  order.resize(SmallestSet(order, p * total * kReaches, nearer, [](const Item& item) { return item.weight; }));
  std::sort(order.begin(), order.end(),
            [](const Item& a, const Item& b) { return a.candidate.token < b.candidate.token; });
  candidates.clear();
  for (const Item& item : order) candidates.push_back(item.candidate);
}

std::vector<double> Probabilities(const Candidates& candidates) {
  Candidates weights = candidates;
  const double total = Exponentiate(weights);
  std::vector<double> p;
  p.reserve(weights.size());
  for (const Candidate& c : weights) p.push_back(c.logit / total);
  return p;
}

double Exponentiate(Candidates& candidates) {
  const double greatest = Greatest(candidates);
  double total = 0;
  for (Candidate& c : candidates) {
    c.logit = Exp(c.logit - greatest);
    total += c.logit;
  }
  return total;
}

}  // namespace kinetok
