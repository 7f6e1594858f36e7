#include "kinetok/decode/beam.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"

namespace kinetok {

EarlyStopping ParseEarlyStopping(std::string_view name) {
  if (name == "false") return EarlyStopping::kFalse;
  if (name == "true") return EarlyStopping::kTrue;
  if (name == "never") return EarlyStopping::kNever;
  Fail("early_stopping is \"{}\"; it must be \"false\", \"true\" or \"never\"", name);
}

void BeamOptions::Check() const {
  constexpr int64_t kMaxBeams = 1024;
  if (num_beams < 1 || num_beams > kMaxBeams) {
    Fail("num_beams is {}; it must be 1 (no beam search) to {}", num_beams, kMaxBeams);
  }
  if (!std::isfinite(length_penalty)) Fail("length_penalty is {}; it must be a finite number", length_penalty);
}

BeamSearch::BeamSearch(Sequences& sequences, const ModelConfig& config, const Prompt& prompt,
                       const SequenceOptions& options, const BeamOptions& beams, const TextStream& stream)
    : sequences_(sequences),
      config_(config),
      options_(options),
      settings_(beams),
      prompt_tokens_(prompt.tokens.size()),
      limit_(options.Limit(config, prompt.tokens.size())) {
  beams_.push_back({.run = sequences.Add(prompt), .sum = 0, .node = -1, .stream = stream});
}

BeamSearch::~BeamSearch() {
  EndSearch();
}

void BeamSearch::EndSearch() {
  for (const Beam& beam : beams_) sequences_.Remove(beam.run);
  beams_.clear();
}

bool BeamSearch::Advance(const LogitsOf& ready) {
  if (!ready.contains(beams_.front().run)) return false;
  ++count_;
  const std::vector<Extension> extensions = BestExtensions(ready);
  if (extensions.empty() && results_.empty()) FailNoTokenLeft(static_cast<size_t>(count_ - 1), config_.vocab_size);

  const auto width = static_cast<size_t>(settings_.num_beams);
  std::vector<Beam> next;
  std::vector<size_t> parents;
  for (size_t rank = 0; rank < extensions.size() && next.size() < width; ++rank) {
    const Extension& e = extensions[rank];
    const Beam& parent = beams_[e.beam];
    const std::optional<FinishReason> finish = FinishOf(config_, options_, e.token, count_, limit_);
    TextStream stream = parent.stream;
    if (finish != FinishReason::kEos) stream.Push(e.token);
    const bool ends = finish.has_value() || stream.matched();
    if (ends && rank >= width) continue;
    nodes_.push_back({Describe(config_, options_, ready.at(parent.run), e.token, count_, limit_), parent.node});
    const auto node = static_cast<int>(nodes_.size()) - 1;
    if (ends) {
      results_.push_back({Score(e.sum, count_), node});
    } else {
      next.push_back({.run = -1, .sum = e.sum, .node = node, .stream = std::move(stream)});
      parents.push_back(e.beam);
    }
  }
  KeepBestResults();
  if (next.empty() || CanStop(next.front().sum)) {
    EndSearch();
  } else {
    Continue(std::move(next), parents);
  }
  return true;
}

// The likeliest continuations of all beams, likeliest first.
std::vector<BeamSearch::Extension> BeamSearch::BestExtensions(const LogitsOf& ready) const {
  const size_t ends = options_.ignore_eos ? 0 : config_.eos_token_ids.size();
  const size_t wanted = std::max<size_t>(2, 1 + ends) * static_cast<size_t>(settings_.num_beams);
  const auto better = [](const Extension& a, const Extension& b) {
    if (a.sum != b.sum) return a.sum > b.sum;
    return a.beam < b.beam || (a.beam == b.beam && a.token < b.token);
  };
  const auto keep_best = [&](std::vector<Extension>& list) {
    if (list.size() <= wanted) return;
    std::nth_element(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(wanted), list.end(), better);
    list.resize(wanted);
  };
  std::vector<Extension> all, own;
  std::vector<double> log_probabilities(static_cast<size_t>(config_.vocab_size));
  for (size_t b = 0; b < beams_.size(); ++b) {
    LogProbabilities(ready.at(beams_[b].run), log_probabilities);
    ProcessLogits(options_.sampler, {sequences_.tokens(beams_[b].run), prompt_tokens_, config_.eos_token_ids},
                  log_probabilities);
    own.clear();
    for (size_t token = 0; token < log_probabilities.size(); ++token) {
      const double sum = beams_[b].sum + log_probabilities[token];
      if (sum == -std::numeric_limits<double>::infinity()) continue;
      own.push_back({sum, b, static_cast<int32_t>(token)});
    }
    keep_best(own);
    all.insert(all.end(), own.begin(), own.end());
  }
  keep_best(all);
  std::sort(all.begin(), all.end(), better);
  return all;
}

void BeamSearch::KeepBestResults() {
  std::stable_sort(results_.begin(), results_.end(),
                   [](const Result& a, const Result& b) { return a.score > b.score; });
  if (results_.size() > static_cast<size_t>(settings_.num_beams)) {
    results_.resize(static_cast<size_t>(settings_.num_beams));
  }
}

bool BeamSearch::CanStop(double best_sum) const {
  if (results_.size() < static_cast<size_t>(settings_.num_beams)) return false;
  if (settings_.early_stopping == EarlyStopping::kTrue) return true;
  const bool may_grow = settings_.early_stopping == EarlyStopping::kNever && settings_.length_penalty > 0;
  return Score(best_sum, may_grow ? limit_ : count_) <= results_.back().score;
}

double BeamSearch::Score(double sum, int64_t length) const {
  return sum / Pow(static_cast<double>(length), settings_.length_penalty);
}

// Gives each new beam a sequence: the last child of a parent takes the parent's own, the others fork it.
void BeamSearch::Continue(std::vector<Beam> next, const std::vector<size_t>& parents) {
  std::vector<int> children(beams_.size());
  for (const size_t parent : parents) ++children[parent];
  for (size_t b = 0; b < beams_.size(); ++b) {
    if (children[b] == 0) sequences_.Remove(beams_[b].run);
  }
  for (size_t i = 0; i < next.size(); ++i) {
    const int run = beams_[parents[i]].run;
    next[i].run = --children[parents[i]] > 0 ? sequences_.Fork(run) : run;
  }
  for (const Beam& beam : next) sequences_.Append(beam.run, nodes_[static_cast<size_t>(beam.node)].token.token);
  beams_ = std::move(next);
}

std::vector<Hypothesis> BeamSearch::Best(int64_t count) const {
  std::vector<Hypothesis> best;
  for (const Result& result : results_) best.push_back(Trace(result.node, result.score));
  if (best.empty()) {
    for (const Beam& beam : beams_) {
      if (beam.node >= 0) best.push_back(Trace(beam.node, Score(beam.sum, count_)));
    }
  }
  if (static_cast<int64_t>(best.size()) > count) best.resize(static_cast<size_t>(count));
  return best;
}

Hypothesis BeamSearch::Trace(int node, double score) const {
  Hypothesis out{.tokens = {}, .score = score};
  for (; node >= 0; node = nodes_[static_cast<size_t>(node)].parent) {
    out.tokens.push_back(nodes_[static_cast<size_t>(node)].token);
  }
  std::reverse(out.tokens.begin(), out.tokens.end());
  return out;
}

}  // namespace kinetok
