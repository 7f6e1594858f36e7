#include "kinetok/decode/score.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/decode/log_probability.h"

namespace kinetok {
namespace {

// A request as the model reads it: the positions that run, and from which one on they predict the continuation. The
// continuation's last token is predicted and never read.
struct Line {
  std::vector<int32_t> tokens;
  size_t first = 0;  // tokens[first] predicts continuation[0]
};

Line MakeLine(const ModelConfig& config, const ScoreRequest& r, ScoreReport& report) {
  if (r.prompt.empty() || r.continuation.empty()) {
    Fail("a prompt of {} tokens and a continuation of {}; each needs at least one", r.prompt.size(),
         r.continuation.size());
  }
  const auto context = static_cast<size_t>(config.max_position_embeddings);
  if (r.continuation.size() > context) {
    Fail("a continuation has {} tokens, the model's context holds {}", r.continuation.size(), context);
  }
  for (const std::vector<int32_t>* part : {&r.prompt, &r.continuation}) {
    for (const int32_t id : *part) {
      if (id < 0 || id >= config.vocab_size) {
        Fail("token id {} is outside the model's vocabulary of {}", id, config.vocab_size);
      }
    }
  }
  Line line{.tokens = r.prompt};
  line.tokens.insert(line.tokens.end(), r.continuation.begin(), r.continuation.end() - 1);
  if (line.tokens.size() > context) {
    line.tokens.erase(line.tokens.begin(), line.tokens.end() - static_cast<std::ptrdiff_t>(context));
    ++report.truncated;
  }
  line.first = line.tokens.size() - r.continuation.size();
  report.tokens += static_cast<int64_t>(r.prompt.size() + r.continuation.size());
  return line;
}

// Lines [begin, end) of the sorted order share the positions [from, to), which the node runs; those before belong to
// its ancestors. Lines that go on are its children.
struct Node {
  size_t begin = 0, end = 0;
  size_t from = 0, to = 0;
  size_t first = 0;   // from this position on, some line reads the logits
  int sequence = -1;  // of the cache; -1: not begun
};

class Scorer {
 public:
  Scorer(Context& context, const Model& model, std::span<const ScoreRequest> requests, const ScoreOptions& options)
      : context_(context), model_(model), requests_(requests), options_(options), cache_(model.config()) {
    RequireNextToken(model.config(), "scoring");
    if (std::min({options.pass_rows, options.logits_rows, options.sequences}) < 1) {
      Fail("a pass of {} rows, {} with logits, of {} sequences; each must be at least 1", options.pass_rows,
           options.logits_rows, options.sequences);
    }
    for (const ScoreRequest& r : requests) lines_.push_back(MakeLine(model.config(), r, report_));
    order_.resize(lines_.size());
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](size_t a, size_t b) { return lines_[a].tokens < lines_[b].tokens; });
    report_.scores.resize(lines_.size());
  }

  ScoreReport Run() {
    const std::vector<Node> roots = Children(0, order_.size(), 0);
    waiting_.assign(roots.begin(), roots.end());
    total_ = TreeRows();
    while (!waiting_.empty()) Pass();
    return std::move(report_);
  }

 private:
  const std::vector<int32_t>& Tokens(size_t i) const { return lines_[order_[i]].tokens; }

  // The node of lines [begin, end), which agree on more than `from` positions.
  Node MakeNode(size_t begin, size_t end, size_t from) const {
    Node node{.begin = begin, .end = end, .from = from, .to = from, .first = lines_[order_[begin]].first};
    const std::vector<int32_t>&a = Tokens(begin), &b = Tokens(end - 1);  // sorted: what these share, all do
    while (node.to < a.size() && node.to < b.size() && a[node.to] == b[node.to]) ++node.to;
    for (size_t i = begin; i < end; ++i) node.first = std::min(node.first, lines_[order_[i]].first);
    return node;
  }

  // The children of a node that covers lines [begin, end) up to `depth`: a group for each token that comes next.
  std::vector<Node> Children(size_t begin, size_t end, size_t depth) const {
    std::vector<Node> children;
    while (begin < end && Tokens(begin).size() == depth) ++begin;  // the shortest come first
    while (begin < end) {
      size_t next = begin + 1;
      while (next < end && Tokens(next)[depth] == Tokens(begin)[depth]) ++next;
      children.push_back(MakeNode(begin, next, depth));
      begin = next;
    }
    return children;
  }

  // Queues a node's children before all else, so that few sequences are open at once. They fork its sequence, and the
  // last one takes it over.
  void Finish(const Node& node) {
    std::vector<Node> children = Children(node.begin, node.end, node.to);
    if (children.empty()) cache_.Remove(node.sequence);
    for (size_t i = 0; i < children.size(); ++i) {
      children[i].sequence = i + 1 < children.size() ? cache_.Fork(node.sequence) : node.sequence;
    }
    waiting_.insert(waiting_.begin(), children.begin(), children.end());
  }

  int64_t TreeRows() const {
    int64_t rows = 0;
    std::vector<Node> open = Children(0, order_.size(), 0);
    while (!open.empty()) {
      const Node n = open.back();
      open.pop_back();
      rows += static_cast<int64_t>(n.to - n.from);
      const std::vector<Node> children = Children(n.begin, n.end, n.to);
      open.insert(open.end(), children.begin(), children.end());
    }
    return rows;
  }

  void Pass() {
    struct Asked {
      size_t begin, end, position;  // the lines that read the row's logits
    };
    std::vector<BatchRow> rows;
    std::vector<Asked> asked;
    size_t touched = 0;  // nodes that this pass runs something of
    bool full = false;
    const size_t most = std::min(waiting_.size(), static_cast<size_t>(options_.sequences));
    for (; touched < most && !full; ++touched) {
      Node& n = waiting_[touched];
      if (n.sequence < 0) n.sequence = cache_.NewSequence();
      for (; n.from < n.to; ++n.from) {
        const bool predicts = n.from >= n.first;
        full = static_cast<int64_t>(rows.size()) == options_.pass_rows ||
               (predicts && static_cast<int64_t>(asked.size()) == options_.logits_rows);
        if (full) break;
        rows.push_back({Tokens(n.begin)[n.from], n.sequence, predicts});
        if (predicts) asked.push_back({n.begin, n.end, n.from});
      }
    }
    const Rows<const float> logits = model_.Forward(context_, rows, cache_, workspace_);
    for (size_t i = 0; i < asked.size(); ++i) {
      Read(asked[i].begin, asked[i].end, asked[i].position,
           {logits[static_cast<int64_t>(i)], static_cast<size_t>(logits.width)});
    }
    std::vector<Node> done;
    for (size_t i = 0; i < touched && waiting_.front().from == waiting_.front().to; ++i) {
      done.push_back(waiting_.front());
      waiting_.pop_front();
    }
    for (size_t i = done.size(); i-- > 0;) Finish(done[i]);
    report_.rows += static_cast<int64_t>(rows.size());
    if (options_.progress) options_.progress(report_.rows, total_);
  }

  void Read(size_t begin, size_t end, size_t position, Span<const float> logits) {
    const int32_t likeliest = Argmax(logits);
    for (size_t i = begin; i < end; ++i) {
      const Line& line = lines_[order_[i]];
      if (position < line.first) continue;
      const int32_t label = requests_[order_[i]].continuation[position - line.first];
      ContinuationScore& score = report_.scores[order_[i]];
      score.log_probability += LogProbability(logits, label);
      score.greedy = score.greedy && label == likeliest;
    }
  }

  Context& context_;
  const Model& model_;
  std::span<const ScoreRequest> requests_;
  const ScoreOptions& options_;
  KvCache cache_;
  Workspace workspace_;
  std::vector<Line> lines_;
  std::vector<size_t> order_;  // lines by their tokens
  std::deque<Node> waiting_;
  ScoreReport report_;
  int64_t total_ = 0;
};

}  // namespace

ScoreReport ScoreContinuations(Context& context, const Model& model, std::span<const ScoreRequest> requests,
                               const ScoreOptions& options) {
  return Scorer(context, model, requests, options).Run();
}

void PerplexityOptions::Check(const ModelConfig& config) const {
  if (window != 0 && (window < 2 || window > config.max_position_embeddings)) {
    Fail("context is {}; it must be 2 to {}, the model's context", window, config.max_position_embeddings);
  }
  const int64_t width = window == 0 ? config.max_position_embeddings : window;
  if (stride < 0 || stride > width) Fail("stride is {}; it must be 1 to {}, the context of a window", stride, width);
}

PerplexityReport ComputePerplexity(Context& context, const Model& model, std::span<const int32_t> tokens,
                                   const PerplexityOptions& options) {
  constexpr int64_t kPiece = 128;  // bounds the logits' memory: 16 MB at a vocabulary of 32,000
  const ModelConfig& config = model.config();
  RequireNextToken(config, "a perplexity");
  options.Check(config);
  const auto n = static_cast<int64_t>(tokens.size());
  if (n < 2) Fail("the text has {} tokens; a perplexity needs at least 2", n);
  PerplexityReport report{.tokens = n, .window = options.window, .stride = options.stride};
  if (report.window == 0) report.window = config.max_position_embeddings;
  if (report.stride == 0) report.stride = std::max<int64_t>(1, report.window / 2);

  KvCache cache(config);
  Workspace workspace;
  const int sequence = cache.NewSequence();
  std::vector<BatchRow> rows;
  int64_t scored_to = 0;  // targets before this one are done
  for (int64_t begin = 0; scored_to < n; begin += report.stride) {
    const int64_t end = std::min(begin + report.window, n);
    const int64_t first = std::max(scored_to, begin + 1);  // the first target of this window
    cache.Truncate(sequence, 0);
    for (int64_t at = begin; at + 1 < end;) {
      rows.clear();
      const int64_t piece = at;
      for (; at + 1 < end && static_cast<int64_t>(rows.size()) < kPiece; ++at) {
        rows.push_back({tokens[at], sequence, at + 1 >= first});
      }
      const Rows<const float> logits = model.Forward(context, rows, cache, workspace);
      const int64_t target = std::max(first, piece + 1);
      for (int64_t i = 0; i < logits.rows; ++i) {
        report.nats -= LogProbability({logits[i], static_cast<size_t>(logits.width)}, tokens[target + i]);
      }
      report.scored += logits.rows;
    }
    scored_to = end;
    if (options.progress) options.progress(scored_to, n);
  }
  return report;
}

}  // namespace kinetok
