#include "kinetok/decode/sequences.h"

#include <algorithm>
#include <utility>

#include "kinetok/base/error.h"

namespace kinetok {

void CheckPrompt(const ModelConfig& config, const Prompt& prompt) {
  if (prompt.tokens.empty()) Fail("the prompt is empty; a model needs at least one token to continue");
  if (static_cast<int64_t>(prompt.tokens.size()) > config.max_position_embeddings) {
    Fail("the prompt has {} tokens, the model's context holds {}", prompt.tokens.size(),
         config.max_position_embeddings);
  }
  int64_t embeddings = 0;
  for (const int32_t id : prompt.tokens) {
    if (id == Prompt::kEmbedding && !prompt.embeddings.empty()) {
      ++embeddings;
    } else if (id < 0 || id >= config.vocab_size) {
      Fail("token id {} is outside the model's vocabulary of {}", id, config.vocab_size);
    }
  }
  if (embeddings != prompt.embeddings.rows || (embeddings > 0 && prompt.embeddings.width != config.hidden_size)) {
    Fail("the prompt has places for {} embeddings of {} numbers, {} of {} are given", embeddings, config.hidden_size,
         prompt.embeddings.rows, prompt.embeddings.width);
  }
}

Sequences::Sequences(Context& context, std::shared_ptr<const Model> model, int64_t prefill_rows)
    : context_(context), model_(std::move(model)), prefill_rows_(prefill_rows), cache_(model_->config()) {
  RequireNextToken(model_->config(), "continuing a text");
  if (prefill_rows < 1) Fail("prefill_rows is {}; it must be at least 1", prefill_rows);
}

int Sequences::Add(const Prompt& prompt) {
  CheckPrompt(model_->config(), prompt);
  Sequence s;
  s.cache_id = cache_.NewSequence();
  s.tokens.assign(prompt.tokens.begin(), prompt.tokens.end());
  if (prompt.embeddings.rows > 0) {
    auto values = std::make_shared<std::vector<float>>();
    for (int64_t i = 0; i < prompt.embeddings.rows; ++i) {
      values->insert(values->end(), prompt.embeddings[i], prompt.embeddings[i] + prompt.embeddings.width);
    }
    s.embeddings = std::move(values);
  }
  sequences_[next_id_] = std::move(s);
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
  for (auto& [id, s] : sequences_) {
    const auto length = static_cast<int64_t>(s.tokens.size());
    int64_t count = length - s.done;
    KINETOK_CHECK(count > 0);
    if (count > 1) {
      count = std::min(count, prefill_left);
      prefill_left -= count;
    }
    for (int64_t i = s.done; i < s.done + count; ++i) {
      BatchRow row{.token = s.tokens[static_cast<size_t>(i)], .sequence = s.cache_id, .want_logits = i + 1 == length};
      if (row.token == Prompt::kEmbedding) {
        row.embedding = s.embeddings->data() + s.embedded++ * model_->config().hidden_size;
      }
      rows_.push_back(row);
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
