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
#include "kinetok/decode/text_stream.h"

namespace kinetok {
namespace {

constexpr int64_t kMaxSamples = 1024;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Keys and values of the longest sequences that may run together. The branches of a prompt share its full pages.
void RequireCacheMemory(const ModelConfig& config, std::span<const Prompt> prompts, const GenerateOptions& options) {
  const int64_t branches = std::max(options.beams.num_beams, options.best_of);
  std::vector<int64_t> pages;
  for (const Prompt& prompt : prompts) {
    const auto length = static_cast<int64_t>(prompt.tokens.size());
    const int64_t room = config.max_position_embeddings - length;
    const int64_t shared = branches > 1 ? length / kKeyBlock : 0;
    const int64_t all = CeilDiv(length + std::min(options.max_new_tokens, room), kKeyBlock);
    pages.push_back(shared + branches * (all - shared));
  }
  std::sort(pages.begin(), pages.end(), std::greater<>());
  const auto together = std::min(static_cast<int64_t>(pages.size()), options.max_batch);
  const int64_t count = std::accumulate(pages.begin(), pages.begin() + together, int64_t{0});
  RequireMemory(count * KvCache(config).page_bytes(),
                fmt::format("the keys and values of {} sequences at once", together * branches));
}

// One continuation as it grows: new tokens in, text and lists out.
class Transcript {
 public:
  Transcript(const Model& model, std::span<const int32_t> prompt, const GenerateOptions& options)
      : options_(options), stream_(model.tokenizer(), prompt, options.stop) {
    generation_.prompt_tokens = static_cast<int64_t>(prompt.size());
    generation_.finish_reason = FinishReason::kStop;  // what stays when somebody ends it
  }

  Token Add(const NewToken& t) {
    generation_.tokens.push_back(t.token);
    if (options_.logprobs) generation_.logprobs.push_back(t.logprob);
    if (options_.top_logprobs > 0) generation_.top_logprobs.push_back(t.top);
    Token token{.id = t.token, .text = {}, .logprob = t.logprob, .top_logprobs = t.top};
    if (t.finish != FinishReason::kEos) token.text = stream_.Push(t.token);
    finish_ = t.finish;
    if (stream_.matched()) finish_ = FinishReason::kStop;
    if (finish_) {
      token.text += stream_.Finish();
      generation_.finish_reason = *finish_;
    }
    generation_.text += token.text;
    return token;
  }
  bool finished() const { return finish_.has_value(); }
  const Generation& generation() const { return generation_; }

 private:
  const GenerateOptions& options_;
  TextStream stream_;
  Generation generation_;
  std::optional<FinishReason> finish_;
};

// A batch of prompts on its way.
class Batch {
 public:
  Batch(Context& context, const std::shared_ptr<const Model>& model, std::span<const Prompt> prompts,
        const GenerateOptions& options, const BatchCallback& on_token)
      : context_(context),
        model_(model),
        prompts_(prompts),
        options_(options),
        on_token_(on_token),
        results_(prompts.size()) {
    for (Generation& result : results_) result.finish_reason = FinishReason::kStop;  // of one that never begins
  }

  void Sample();
  void SearchBeams();
  std::vector<Generation> Take() {
    for (Generation& result : results_) result.timings = timings_;
    return std::move(results_);
  }

 private:
  // A sample and its tokens, which are kept where another may turn out to be better.
  struct Branch {
    Transcript transcript;
    std::vector<NewToken> tokens;
  };

  bool Cancelled() {
    stop_all_ = stop_all_ || (options_.cancelled && options_.cancelled());
    return stop_all_;
  }
  // The time of a step, which is prefill as long as a prompt is on its way.
  template <class Step>
  auto Timed(bool prefilling, Step step) {
    const double before = Now();
    auto out = step();
    (prefilling ? timings_.prefill_s : timings_.decode_s) += Now() - before;
    return out;
  }
  bool Give(size_t prompt, Transcript& transcript, const NewToken& token);
  void Deliver(size_t prompt, std::span<const Hypothesis> best);
  void ChooseBest(size_t prompt, std::span<Branch> branches);

  Context& context_;
  const std::shared_ptr<const Model>& model_;
  std::span<const Prompt> prompts_;
  const GenerateOptions& options_;
  const BatchCallback& on_token_;
  std::vector<Generation> results_;
  Timings timings_;
  bool stop_all_ = false;
};

// Hands a token to the caller; true when the text ends with it.
bool Batch::Give(size_t prompt, Transcript& transcript, const NewToken& token) {
  const Token given = transcript.Add(token);
  const Flow flow = on_token_ ? on_token_(prompt, given) : Flow::kContinue;
  stop_all_ = stop_all_ || flow == Flow::kStopAll;
  return transcript.finished() || flow != Flow::kContinue;
}

void Batch::Sample() {
  const auto samples = static_cast<size_t>(options_.best_of);
  Engine engine(context_, model_);
  std::vector<Branch> branches;  // by the engine's numbers: those of a prompt follow each other
  std::vector<size_t> open;      // branches of each prompt begun that go on
  int64_t active = 0;            // prompts with such
  size_t prefilling = 0;         // prompts begun without a new token yet
  const auto save = [&](size_t i) {
    const std::span<Branch> own(branches.data() + i * samples, samples);
    if (samples > 1) {
      ChooseBest(i, own);
    } else {
      results_[i] = own.front().transcript.generation();
    }
  };
  while (!Cancelled() && (open.size() < prompts_.size() || !engine.idle())) {
    while (open.size() < prompts_.size() && active < options_.max_batch) {
      const Prompt& prompt = prompts_[open.size()];
      engine.Add(prompt, options_.sequence(), static_cast<int>(samples));
      for (size_t k = 0; k < samples; ++k) branches.push_back({Transcript(*model_, prompt.tokens, options_), {}});
      open.push_back(samples);
      ++active;
      ++prefilling;
    }
    const std::span<const NewToken> step = Timed(prefilling > 0, [&] { return engine.Step(); });
    if (prefilling == 0) timings_.decode_tokens += static_cast<int64_t>(step.size());
    for (const NewToken& t : step) {
      const auto number = static_cast<size_t>(t.sequence), i = number / samples;
      Branch& branch = branches[number];
      if (number % samples == 0 && branch.transcript.generation().tokens.empty()) {
        --prefilling;
        timings_.prefill_tokens += static_cast<int64_t>(prompts_[i].tokens.size());
      }
      bool ends = false;
      if (samples > 1) {
        branch.transcript.Add(t);
        branch.tokens.push_back(t);
        ends = branch.transcript.finished();
      } else {
        ends = Give(i, branch.transcript, t);
      }
      if (!ends) continue;
      engine.Remove(t.sequence);
      if (--open[i] > 0) continue;
      --active;
      save(i);
    }
  }
  for (size_t i = 0; i < open.size(); ++i) {
    if (open[i] > 0) save(i);
  }
}

// The samples with the highest mean log-probabilities, the earlier one on a tie.
void Batch::ChooseBest(size_t prompt, std::span<Branch> branches) {
  std::vector<Hypothesis> ranked;
  for (Branch& branch : branches) {
    double sum = 0;
    for (const NewToken& t : branch.tokens) sum += t.logprob;
    const auto count = static_cast<double>(std::max<size_t>(branch.tokens.size(), 1));
    ranked.push_back({.tokens = std::move(branch.tokens), .score = sum / count});
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Hypothesis& a, const Hypothesis& b) { return a.score > b.score; });
  Deliver(prompt, {ranked.data(), static_cast<size_t>(options_.num_return_sequences)});
}

// The first of `best` is the result, token by token; the others are its runners-up.
void Batch::Deliver(size_t prompt, std::span<const Hypothesis> best) {
  results_[prompt] = Transcript(*model_, prompts_[prompt].tokens, options_).generation();  // what stays without any
  for (size_t rank = 0; rank < best.size(); ++rank) {
    Transcript transcript(*model_, prompts_[prompt].tokens, options_);
    for (const NewToken& token : best[rank].tokens) {
      if (rank > 0) {
        transcript.Add(token);
      } else if (Give(prompt, transcript, token)) {
        break;
      }
    }
    Generation generation = transcript.generation();
    generation.score = best[rank].score;
    if (rank == 0) {
      results_[prompt] = std::move(generation);
    } else {
      results_[prompt].runners_up.push_back(std::move(generation));
    }
  }
}

void Batch::SearchBeams() {
  struct Search {
    size_t prompt = 0;
    bool prefilling = true;
    std::unique_ptr<BeamSearch> beams;
  };
  Sequences sequences(context_, model_, EngineOptions().prefill_rows);
  std::vector<Search> running;
  const auto deliver = [&](const Search& search) {
    Deliver(search.prompt, search.beams->Best(options_.num_return_sequences));
  };
  size_t begun = 0;
  while (!Cancelled() && (begun < prompts_.size() || !running.empty())) {
    for (; begun < prompts_.size() && static_cast<int64_t>(running.size()) < options_.max_batch; ++begun) {
      const Prompt& prompt = prompts_[begun];
      const TextStream stream(model_->tokenizer(), prompt.tokens, options_.stop);
      running.push_back({begun, true,
                         std::make_unique<BeamSearch>(sequences, model_->config(), prompt, options_.sequence(),
                                                      options_.beams, stream)});
    }
    const auto is_prefilling = [](const Search& s) { return s.prefilling; };
    const bool prefilling = std::any_of(running.begin(), running.end(), is_prefilling);
    const int64_t advanced = Timed(prefilling, [&] {
      BeamSearch::LogitsOf ready;
      for (const Sequences::Ready& r : sequences.Step()) ready.emplace(r.id, r.logits);
      int64_t count = 0;
      for (Search& search : running) {
        if (!search.beams->Advance(ready)) continue;
        ++count;
        if (std::exchange(search.prefilling, false)) {
          timings_.prefill_tokens += static_cast<int64_t>(prompts_[search.prompt].tokens.size());
        }
      }
      return count;
    });
    if (!prefilling) timings_.decode_tokens += advanced;
    for (const Search& search : running) {
      if (search.beams->done()) deliver(search);
    }
    std::erase_if(running, [](const Search& search) { return search.beams->done(); });
  }
  for (const Search& search : running) deliver(search);
}

}  // namespace

void GenerateOptions::Check() const {
  sequence().Check();
  StopStrings check(stop);
  beams.Check();
  if (best_of < 1 || best_of > kMaxSamples) Fail("best_of is {}; it must be 1 to {}", best_of, kMaxSamples);
  if (beams.num_beams > 1) {
    const SamplerOptions& s = sampler;
    if (best_of > 1) Fail("num_beams is {}; beam search draws nothing, so best_of must be 1", beams.num_beams);
    if ((!s.is_greedy() && s.temperature != 1) || s.top_k > 0 || s.top_p < 1 || s.min_p > 0 || s.typical_p < 1) {
      Fail("num_beams is {}; beam search draws nothing: leave out temperature, top_k, top_p, min_p and typical_p",
           beams.num_beams);
    }
  }
  if (best_of > 1 && sampler.is_greedy()) Fail("best_of is {}; all greedy texts are the same", best_of);
  const int64_t most = std::max(beams.num_beams, best_of);
  if (num_return_sequences < 1 || num_return_sequences > most) {
    Fail("num_return_sequences is {}; it must be 1 to {}, the number of beams or of samples", num_return_sequences,
         most);
  }
  if (max_batch < 1) Fail("max_batch is {}; it must be at least 1", max_batch);
}

SequenceOptions GenerateOptions::sequence() const {
  return {.sampler = sampler,
          .max_new_tokens = max_new_tokens,
          .ignore_eos = ignore_eos,
          .logprobs = logprobs || best_of > 1,
          .top_logprobs = top_logprobs};
}

std::vector<int32_t> EncodePrompt(const Model& model, std::string_view text, bool parse_special) {
  const Tokenizer* tokenizer = model.tokenizer();
  if (tokenizer == nullptr) Fail("the model has no tokenizer; give the prompt as token ids");
  if (text.empty()) Fail("the prompt is empty; a model needs at least one token to continue");
  return tokenizer->Encode(text, {.special = true, .parse_special = parse_special});
}

std::vector<std::vector<int32_t>> BadWordTokens(const Model& model, std::string_view word) {
  const Tokenizer* tokenizer = model.tokenizer();
  if (tokenizer == nullptr) Fail("bad_words as text need a tokenizer, the model has none");
  if (word.empty()) Fail("bad_words holds \"\"; a word must not be empty");
  std::vector<std::vector<int32_t>> words = {tokenizer->Encode(word)};
  std::vector<int32_t> spaced = tokenizer->Encode(fmt::format(" {}", word));
  if (spaced != words.front()) words.push_back(std::move(spaced));
  return words;
}

std::vector<Generation> GenerateBatch(Context& context, const std::shared_ptr<const Model>& model,
                                      std::span<const Prompt> prompts, const GenerateOptions& options,
                                      const BatchCallback& on_token) {
  options.Check();
  options.sampler.CheckIds(model->config().vocab_size);
  if (!options.stop.empty() && model->tokenizer() == nullptr) Fail("stop strings need a tokenizer, the model has none");
  for (const Prompt& prompt : prompts) CheckPrompt(model->config(), prompt);
  RequireCacheMemory(model->config(), prompts, options);
  Batch batch(context, model, prompts, options, on_token);
  if (options.beams.num_beams > 1) {
    batch.SearchBeams();
  } else {
    batch.Sample();
  }
  return batch.Take();
}

std::vector<Generation> GenerateBatch(Context& context, const std::shared_ptr<const Model>& model,
                                      std::span<const std::vector<int32_t>> prompts, const GenerateOptions& options,
                                      const BatchCallback& on_token) {
  return GenerateBatch(context, model, std::vector<Prompt>(prompts.begin(), prompts.end()), options, on_token);
}

Generation Generate(Context& context, const std::shared_ptr<const Model>& model, const Prompt& prompt,
                    const GenerateOptions& options, const TokenCallback& on_token) {
  BatchCallback callback;
  if (on_token) callback = [&](size_t, const Token& token) { return on_token(token); };
  return std::move(GenerateBatch(context, model, std::span(&prompt, 1), options, callback).front());
}

Generation Generate(Context& context, const std::shared_ptr<const Model>& model, std::string_view prompt,
                    const GenerateOptions& options, const TokenCallback& on_token) {
  return Generate(context, model, Prompt(EncodePrompt(*model, prompt)), options, on_token);
}

}  // namespace kinetok
