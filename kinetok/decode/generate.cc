#include "kinetok/decode/generate.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/base/memory.h"
#include "kinetok/decode/stop_strings.h"

namespace kinetok {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Turns one sequence's tokens into text: whole characters, up to a stop string.
class TextStream {
 public:
  TextStream(const Tokenizer* tokenizer, std::span<const int32_t> prompt, const std::vector<std::string>& stop)
      : tokenizer_(tokenizer), stops_(stop) {
    if (tokenizer_ == nullptr) return;
    decoder_.emplace(*tokenizer_, DecodeOptions{.skip_special = true});
    for (int32_t id : prompt) Decode(id);  // the new text continues the prompt's
  }

  std::string Push(int32_t id) { return tokenizer_ == nullptr ? "" : stops_.Push(Decode(id)); }
  std::string Finish() {
    if (tokenizer_ == nullptr || stops_.matched()) return "";
    std::string text = stops_.Push(decoder_->Finish());
    return text + stops_.Finish();
  }
  bool matched() const { return stops_.matched(); }

 private:
  // Ids that only pad the model's vocabulary have no text.
  std::string Decode(int32_t id) { return tokenizer_->Has(id) ? decoder_->Push(id) : ""; }
  const Tokenizer* tokenizer_;
  std::optional<StreamDecoder> decoder_;
  StopStrings stops_;
};

// Keys and values of the longest sequences that may run together.
void RequireCacheMemory(const ModelConfig& config, std::span<const std::vector<int32_t>> prompts,
                        const GenerateOptions& options) {
  std::vector<int64_t> pages;
  for (const std::vector<int32_t>& prompt : prompts) {
    const auto length = static_cast<int64_t>(prompt.size());
    const int64_t room = config.max_position_embeddings - length;
    pages.push_back(CeilDiv(length + std::min(options.max_new_tokens, room), kKeyBlock));
  }
  std::sort(pages.begin(), pages.end(), std::greater<>());
  const auto together = std::min(static_cast<int64_t>(pages.size()), options.max_batch);
  const int64_t count = std::accumulate(pages.begin(), pages.begin() + together, int64_t{0});
  RequireMemory(count * KvCache(config).page_bytes(),
                fmt::format("the keys and values of {} sequences at once", together));
}

}  // namespace

void GenerateOptions::Check() const {
  SequenceOptions{.sampler = sampler, .max_new_tokens = max_new_tokens}.Check();
  StopStrings check(stop);
  if (max_batch < 1) Fail("max_batch is {}; it must be at least 1", max_batch);
}

std::vector<int32_t> EncodePrompt(const Model& model, std::string_view text, bool parse_special) {
  const Tokenizer* tokenizer = model.tokenizer();
  if (tokenizer == nullptr) Fail("the model has no tokenizer; give the prompt as token ids");
  if (text.empty()) Fail("the prompt is empty; a model needs at least one token to continue");
  return tokenizer->Encode(text, {.special = true, .parse_special = parse_special});
}

std::vector<Generation> GenerateBatch(Context& context, const std::shared_ptr<const Model>& model,
                                      std::span<const std::vector<int32_t>> prompts, const GenerateOptions& options,
                                      const BatchCallback& on_token) {
  options.Check();
  if (!options.stop.empty() && model->tokenizer() == nullptr) Fail("stop strings need a tokenizer, the model has none");
  for (const std::vector<int32_t>& prompt : prompts) CheckPrompt(model->config(), prompt);
  RequireCacheMemory(model->config(), prompts, options);
  const SequenceOptions sequence{.sampler = options.sampler,
                                 .max_new_tokens = options.max_new_tokens,
                                 .ignore_eos = options.ignore_eos,
                                 .logprobs = options.logprobs};
  Engine engine(context, model);
  Generation unfinished;
  unfinished.finish_reason = FinishReason::kStop;  // what stays of those that kStopAll ends
  std::vector<Generation> results(prompts.size(), unfinished);
  std::vector<TextStream> streams;  // of the prompts begun
  Timings timings;
  size_t prefilling = 0;  // sequences without a new token yet
  bool stop_all = false;
  while (!stop_all && (streams.size() < prompts.size() || !engine.idle())) {
    while (streams.size() < prompts.size() && engine.running() < options.max_batch) {
      const size_t i = streams.size();
      engine.Add(prompts[i], sequence);
      streams.emplace_back(model->tokenizer(), prompts[i], options.stop);
      results[i].prompt_tokens = static_cast<int64_t>(prompts[i].size());
      ++prefilling;
    }
    const double before = Now();  // the callbacks' time is theirs
    const std::span<const NewToken> step = engine.Step();
    const double after = Now();
    (prefilling > 0 ? timings.prefill_s : timings.decode_s) += after - before;
    if (prefilling == 0) timings.decode_tokens += static_cast<int64_t>(step.size());
    for (const NewToken& t : step) {
      const auto i = static_cast<size_t>(t.sequence);
      Generation& result = results[i];
      if (result.tokens.empty()) {
        --prefilling;
        timings.prefill_tokens += result.prompt_tokens;
      }
      result.tokens.push_back(t.token);
      if (options.logprobs) result.logprobs.push_back(t.logprob);
      Token token{.id = t.token, .text = {}, .logprob = t.logprob};
      if (t.finish != FinishReason::kEos) token.text = streams[i].Push(t.token);

      std::optional<FinishReason> finish = t.finish;
      if (streams[i].matched()) finish = FinishReason::kStop;
      if (finish) token.text += streams[i].Finish();
      result.text += token.text;
      const Flow flow = on_token ? on_token(i, token) : Flow::kContinue;
      if (flow != Flow::kContinue && !finish) finish = FinishReason::kStop;
      stop_all = stop_all || flow == Flow::kStopAll;
      if (finish) {
        result.finish_reason = *finish;
        engine.Remove(t.sequence);
      }
    }
  }
  for (Generation& result : results) result.timings = timings;
  return results;
}

Generation Generate(Context& context, const std::shared_ptr<const Model>& model, std::span<const int32_t> prompt,
                    const GenerateOptions& options, const TokenCallback& on_token) {
  const std::vector<int32_t> ids(prompt.begin(), prompt.end());
  BatchCallback callback;
  if (on_token) callback = [&](size_t, const Token& token) { return on_token(token); };
  return std::move(GenerateBatch(context, model, {&ids, 1}, options, callback).front());
}

Generation Generate(Context& context, const std::shared_ptr<const Model>& model, std::string_view prompt,
                    const GenerateOptions& options, const TokenCallback& on_token) {
  return Generate(context, model, EncodePrompt(*model, prompt), options, on_token);
}

}  // namespace kinetok
