#include "kinetok/decode/engine.h"

#include <algorithm>
#include <utility>

#include "kinetok/base/error.h"

namespace kinetok {

std::string_view FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kLength:
      return "length";
    case FinishReason::kEos:
      return "eos";
    case FinishReason::kStop:
      break;
  }
  return "stop";
}

void SequenceOptions::Check() const {
  sampler.Check();
  if (max_new_tokens < 1) Fail("max_new_tokens is {}; it must be at least 1", max_new_tokens);
}

void CheckPrompt(const ModelConfig& config, std::span<const int32_t> prompt) {
  if (prompt.empty()) Fail("the prompt is empty; a model needs at least one token to continue");
  if (static_cast<int64_t>(prompt.size()) > config.max_position_embeddings) {
    Fail("the prompt has {} tokens, the model's context holds {}", prompt.size(), config.max_position_embeddings);
  }
  for (int32_t id : prompt) {
    if (id < 0 || id >= config.vocab_size) {
      Fail("token id {} is outside the model's vocabulary of {}", id, config.vocab_size);
    }
  }
}

Engine::Engine(Context& context, std::shared_ptr<const Model> model, EngineOptions options)
    : context_(context), model_(std::move(model)), options_(options), cache_(model_->config()) {
  if (options_.prefill_rows < 1) Fail("prefill_rows is {}; it must be at least 1", options_.prefill_rows);
}

int Engine::Add(std::span<const int32_t> prompt, const SequenceOptions& options) {
  options.Check();
  CheckPrompt(model_->config(), prompt);
  const auto length = static_cast<int64_t>(prompt.size());
  // The last new token is given out and never read, so it may stand one past the context.
  const int64_t room = model_->config().max_position_embeddings - length + 1;
  sequences_.push_back({.id = next_id_,
                        .cache_id = cache_.NewSequence(),
                        .tokens = {prompt.begin(), prompt.end()},
                        .last = length + std::min(options.max_new_tokens, room),
                        .options = options,
                        .sampler = Sampler(options.sampler)});
  return next_id_++;
}

std::span<const NewToken> Engine::Step() {
  rows_.clear();
  new_tokens_.clear();
  int64_t prefill_left = options_.prefill_rows;
  std::vector<int64_t> taken;  // rows of each sequence
  for (const Sequence& s : sequences_) {
    const auto length = static_cast<int64_t>(s.tokens.size());
    int64_t count = length - s.done;
    if (count > 1) {
      count = std::min(count, prefill_left);
      prefill_left -= count;
    }
    for (int64_t i = s.done; i < s.done + count; ++i) {
      rows_.push_back({s.tokens[static_cast<size_t>(i)], s.cache_id, i + 1 == length});
    }
    taken.push_back(count);
  }
  if (rows_.empty()) return {};

  const Rows<const float> logits = model_->Forward(context_, rows_, cache_, workspace_);
  int64_t row = 0;
  auto count = taken.begin();
  for (auto s = sequences_.begin(); s != sequences_.end();) {
    s->done += *count++;
    if (s->done < static_cast<int64_t>(s->tokens.size())) {
      ++s;
      continue;
    }
    new_tokens_.push_back(Choose(*s, {logits[row], static_cast<size_t>(logits.width)}));
    ++row;
    if (new_tokens_.back().finish) {
      cache_.Remove(s->cache_id);
      s = sequences_.erase(s);
    } else {
      ++s;
    }
  }
  return new_tokens_;
}

NewToken Engine::Choose(Sequence& sequence, Span<const float> logits) {
  NewToken out{.sequence = sequence.id};
  out.token = sequence.sampler.Choose(logits, static_cast<int64_t>(sequence.tokens.size()));
  if (sequence.options.logprobs) out.logprob = LogProbability(logits, out.token);
  sequence.tokens.push_back(out.token);
  const std::vector<int32_t>& eos = model_->config().eos_token_ids;
  if (!sequence.options.ignore_eos && std::find(eos.begin(), eos.end(), out.token) != eos.end()) {
    out.finish = FinishReason::kEos;
  } else if (static_cast<int64_t>(sequence.tokens.size()) >= sequence.last) {
    out.finish = FinishReason::kLength;
  }
  return out;
}

void Engine::Remove(int sequence) {
  const auto found =
      std::find_if(sequences_.begin(), sequences_.end(), [&](const Sequence& s) { return s.id == sequence; });
  if (found == sequences_.end()) return;
  cache_.Remove(found->cache_id);
  sequences_.erase(found);
}

}  // namespace kinetok
