#include "kinetok/decode/engine.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "kinetok/base/error.h"

namespace kinetok {

Engine::Engine(Context& context, std::shared_ptr<const Model> model, EngineOptions options)
    : model_(std::move(model)), runs_(context, model_, options.prefill_rows) {}

int Engine::Add(const Prompt& prompt, const SequenceOptions& options, int samples) {
  KINETOK_CHECK(samples >= 1);
  options.Check();
  options.sampler.CheckIds(model_->config().vocab_size);
  Live live{.run = runs_.Add(prompt),
            .prompt_tokens = prompt.tokens.size(),
            .limit = options.Limit(model_->config(), prompt.tokens.size()),
            .options = options,
            .sampler = Sampler(options.sampler)};
  const int first = next_id_;
  for (int i = 0; i < samples; ++i) {
    live_.emplace(next_id_++, live);
    ++live.options.sampler.sequence;
    live.sampler = Sampler(live.options.sampler);
  }
  return first;
}

std::span<const NewToken> Engine::Step() {
  new_tokens_.clear();
  struct Run {
    Span<const float> logits;
    int users = 0;  // that have not chosen yet
  };
  std::unordered_map<int, Run> ready;
  for (const Sequences::Ready& r : runs_.Step()) ready[r.id].logits = r.logits;
  for (const auto& [id, live] : live_) {
    if (const auto found = ready.find(live.run); found != ready.end()) ++found->second.users;
  }
  for (auto it = live_.begin(); it != live_.end();) {
    auto& [id, live] = *it;
    const auto found = ready.find(live.run);
    if (found == ready.end()) {
      ++it;
      continue;
    }
    Run& run = found->second;
    if (run.users-- > 1) live.run = runs_.Fork(live.run);
    new_tokens_.push_back(Choose(live, run.logits));
    new_tokens_.back().sequence = id;
    if (new_tokens_.back().finish) {
      runs_.Remove(live.run);
      it = live_.erase(it);
    } else {
      ++it;
    }
  }
  return new_tokens_;
}

NewToken Engine::Choose(Live& live, Span<const float> logits) {
  const std::span<const int32_t> tokens = runs_.tokens(live.run);
  const auto length = static_cast<int64_t>(tokens.size());
  const ModelConfig& config = model_->config();
  const int32_t token = live.sampler.Choose(logits, length, {tokens, live.prompt_tokens, config.eos_token_ids});
  runs_.Append(live.run, token);
  NewToken out =
      Describe(config, live.options, logits, token, length + 1 - static_cast<int64_t>(live.prompt_tokens), live.limit);
  out.logits = logits;
  return out;
}

void Engine::Remove(int sequence) {
  const auto found = live_.find(sequence);
  if (found == live_.end()) return;
  const int run = found->second.run;
  live_.erase(found);
  const auto is_user = [&](const auto& entry) { return entry.second.run == run; };
  if (std::none_of(live_.begin(), live_.end(), is_user)) runs_.Remove(run);
}

}  // namespace kinetok
