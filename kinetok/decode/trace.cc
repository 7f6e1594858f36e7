#include "kinetok/decode/trace.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"

namespace kinetok {
namespace {

// A sequence that is fed piece by piece, and what that took.
class Reader {
 public:
  Reader(Context& context, const Model& model, Rows<const float> embeddings = {})
      : context_(context),
        model_(model),
        embeddings_(embeddings),
        cache_(model.config()),
        sequence_(cache_.NewSequence()) {}

  void Forget() {
    cache_.Truncate(sequence_, 0);
    embedded_ = 0;
  }
  // The logits after the last of `tokens`, or after each.
  std::span<const float> Read(std::span<const int32_t> tokens, bool all_logits) {
    std::vector<BatchRow> rows;
    rows.reserve(tokens.size());
    for (size_t i = 0; i < tokens.size(); ++i) {
      const bool patch = tokens[i] == Prompt::kEmbedding;
      rows.push_back({.token = tokens[i],
                      .sequence = sequence_,
                      .want_logits = all_logits || i + 1 == tokens.size(),
                      .embedding = patch ? embeddings_[embedded_++] : nullptr});
    }
    const auto start = std::chrono::steady_clock::now();
    const Rows<const float> logits = model_.Forward(context_, rows, cache_, workspace_);
    seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return {logits.data, static_cast<size_t>(logits.rows * logits.width)};
  }
  double seconds() const { return seconds_; }  // of the last Read

 private:
  Context& context_;
  const Model& model_;
  Rows<const float> embeddings_;
  int64_t embedded_ = 0;  // rows of them that were read
  KvCache cache_;
  int sequence_;
  Workspace workspace_;
  double seconds_ = 0;
};

bool SameBits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace

std::vector<TracedStep> TraceGeneration(Context& context, const Model& model, const Prompt& prompt,
                                        const SamplerOptions& options, int64_t steps, int64_t top) {
  const ModelConfig& config = model.config();
  RequireNextToken(config, "the autoregressive loop");
  CheckPrompt(config, prompt);
  options.CheckIds(config.vocab_size);
  if (steps < 1) Fail("steps is {}; it must be at least 1", steps);
  if (top < 1) Fail("top is {}; it must be at least 1", top);
  Sampler sampler(options);
  Reader cached(context, model, prompt.embeddings), whole(context, model, prompt.embeddings);
  for (Reader* reader : {&cached, &whole}) {  // memory is touched and code is loaded before anything is timed
    reader->Read(prompt.tokens, false);
    reader->Forget();
  }
  std::vector<int32_t> tokens(prompt.tokens.begin(), prompt.tokens.end());
  std::vector<TracedStep> trace;
  size_t read = 0;
  while (static_cast<int64_t>(trace.size()) < steps &&
         static_cast<int64_t>(tokens.size()) <= config.max_position_embeddings) {
    TracedStep step;
    const std::span<const int32_t> waiting = std::span(tokens).subspan(read);
    const std::span<const float> logits = cached.Read(waiting, false);
    step.cached_rows = static_cast<int64_t>(waiting.size());
    step.cached_s = cached.seconds();
    read = tokens.size();

    step.same_bits = SameBits(logits, whole.Read(tokens, false));
    whole.Forget();
    step.recomputed_rows = static_cast<int64_t>(tokens.size());
    step.recomputed_s = whole.seconds();

    for (const TokenLogprob& t : TopLogProbabilities(logits, top)) step.top.push_back({t.token, Exp(t.logprob)});
    step.choice.token = sampler.Choose(logits, static_cast<int64_t>(tokens.size()),
                                       {tokens, prompt.tokens.size(), config.eos_token_ids});
    step.choice.probability = Exp(LogProbability(logits, step.choice.token));
    tokens.push_back(step.choice.token);
    trace.push_back(std::move(step));
    const std::vector<int32_t>& eos = config.eos_token_ids;
    if (std::find(eos.begin(), eos.end(), tokens.back()) != eos.end()) break;
  }
  return trace;
}

TeacherForcing TraceTeacherForcing(Context& context, const Model& model, std::span<const int32_t> tokens) {
  RequireNextToken(model.config(), "teacher forcing");
  CheckPrompt(model.config(), tokens);
  if (tokens.size() < 2) Fail("the text has {} token; teacher forcing needs at least 2", tokens.size());
  const std::span<const int32_t> inputs = tokens.first(tokens.size() - 1);
  Reader parallel(context, model), single(context, model);
  TeacherForcing out;
  out.same_bits = true;
  for (Reader* reader : {&parallel, &single}) {  // memory is touched and code is loaded before anything is timed
    reader->Read(inputs, true);
    reader->Forget();
  }
  const std::span<const float> logits = parallel.Read(inputs, true);
  out.parallel_s = parallel.seconds();
  const auto width = static_cast<size_t>(model.config().vocab_size);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::span<const float> row = logits.subspan(i * width, width);
    const double log_p = LogProbability(row, tokens[i + 1]);
    out.targets.push_back({inputs[i], tokens[i + 1], Exp(log_p), -log_p});
    out.mean_loss -= log_p / static_cast<double>(inputs.size());
    out.same_bits = SameBits(row, single.Read(inputs.subspan(i, 1), true)) && out.same_bits;
    out.single_s += single.seconds();
  }
  return out;
}

}  // namespace kinetok
