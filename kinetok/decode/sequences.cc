#include "kinetok/decode/sequences.h"

#include <algorithm>
#include <utility>

#include "kinetok/base/error.h"

namespace kinetok {

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

Sequences::Sequences(Context& context, std::shared_ptr<const Model> model, int64_t prefill_rows)
    : context_(context), model_(std::move(model)), prefill_rows_(prefill_rows), cache_(model_->config()) {
  RequireNextToken(model_->config(), "continuing a text");
  if (prefill_rows < 1) Fail("prefill_rows is {}; it must be at least 1", prefill_rows);
}

int Sequences::Add(std::span<const int32_t> prompt) {
  CheckPrompt(model_->config(), prompt);
  sequences_[next_id_] = {.cache_id = cache_.NewSequence(), .tokens = {prompt.begin(), prompt.end()}, .done = 0};
  return next_id_++;
}

int Sequences::Fork(int id) {
  Sequence copy = sequences_.at(id);
  KINETOK_CHECK(copy.done == static_cast<int64_t>(copy.tokens.size()));
  copy.cache_id = cache_.Fork(copy.cache_id);
  sequences_[next_id_] = std::move(copy);
  return next_id_++;
}

void Sequences::Append(int id, int32_t token) {
  sequences_.at(id).tokens.push_back(token);
}

void Sequences::Remove(int id) {
  cache_.Remove(sequences_.at(id).cache_id);
  sequences_.erase(id);
}

std::span<const Sequences::Ready> Sequences::Step() {
  rows_.clear();
  ready_.clear();
  int64_t prefill_left = prefill_rows_;
  std::vector<int64_t> taken;  // rows of each sequence
  for (const auto& [id, s] : sequences_) {
    const auto length = static_cast<int64_t>(s.tokens.size());
    int64_t count = length - s.done;
    KINETOK_CHECK(count > 0);
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
  auto count = taken.begin();
  for (auto& [id, s] : sequences_) {
    s.done += *count++;
    if (s.done < static_cast<int64_t>(s.tokens.size())) continue;
    const auto row = static_cast<int64_t>(ready_.size());
    ready_.push_back({.id = id, .logits = {logits[row], static_cast<size_t>(logits.width)}});
  }
  return ready_;
}

}  // namespace kinetok
