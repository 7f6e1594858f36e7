#include "kinetok/vla/policy.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/base/math.h"
#include "kinetok/vla/image_prompt.h"

namespace kinetok {
namespace {

constexpr size_t kAlternatives = 5;

class Stopwatch {
 public:
  // Seconds since the last call, or since the beginning.
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(begin_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// The distribution over the action tokens alone.
Candidates ActionCandidates(Span<const float> logits, const ActionTokenizer& actions) {
  Candidates out;
  for (const int32_t id : actions.ids()) out.push_back({id, logits[id]});
  return out;
}

void Describe(Span<const float> logits, const ActionTokenizer& actions, int32_t token, Action* out) {
  const Candidates candidates = ActionCandidates(logits, actions);
  const std::vector<double> p = Probabilities(candidates);
  std::vector<BinProbability> all;
  double entropy = 0, chosen = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const int32_t id = candidates[i].token;
    const int bin = actions.Bin(id);
    if (all.empty() || all.back().bin != bin) {
      all.push_back({id, bin, p[i]});
    } else {  // the two lowest ids
      if (p[i] > p[i - 1]) all.back().token = id;
      all.back().probability += p[i];
    }
    if (p[i] > 0) entropy -= p[i] * Log(p[i]);
    if (id == token) chosen = p[i];
  }
  const size_t kept = std::min(kAlternatives, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(kept), all.end(),
                    [](const BinProbability& a, const BinProbability& b) {
                      return a.probability > b.probability || (a.probability == b.probability && a.token < b.token);
                    });
  all.resize(kept);
  out->tokens.push_back(token);
  out->bins.push_back(actions.Bin(token));
  out->normalized.push_back(actions.Decode(token));
  out->probabilities.push_back(chosen);
  out->entropies.push_back(entropy);
  out->alternatives.push_back(std::move(all));
}

}  // namespace

Policy::Policy(const std::filesystem::path& dir, ContextOptions context, const LoadOptions& load)
    : context_(context),
      model_(Model::Load(context_, dir, load)),
      config_(model_->config(), dir, load.adapter),
      eyes_(context_, model_, dir),
      engine_(context_, model_, {.prefill_rows = model_->config().max_position_embeddings}) {
  if (model_->tokenizer() == nullptr) Fail("{}: has no tokenizer, without which it reads no instruction", dir.string());
}

// The tokens that the action follows. Throws Error when the context has no room for both.
std::vector<int32_t> Policy::ActionPrompt(std::string_view instruction, int64_t dimensions) const {
  std::vector<int32_t> prompt = InstructionTokens(*model_->tokenizer(), instruction, config_.style, config_.separator,
                                                  model_->config().ImagePatches());
  const int64_t positions = static_cast<int64_t>(prompt.size()) + dimensions - 1;
  if (positions > model_->config().max_position_embeddings) {
    Fail("the image, the instruction and the action take {} positions, the model's context holds {}", positions,
         model_->config().max_position_embeddings);
  }
  return prompt;
}

void Policy::CheckRequest(const ImageView& image, std::string_view instruction, std::string_view unnorm_key) const {
  CheckImageView(image);
  ActionPrompt(instruction, config_.statistics.Choose(unnorm_key).second.dimensions());
}

Action Policy::Act(const ImageView& image, std::string_view instruction, const ActOptions& options) {
  const std::lock_guard lock(mutex_);
  const auto& [key, statistics] = config_.statistics.Choose(options.unnorm_key);
  const int64_t dimensions = statistics.dimensions();
  const std::vector<int32_t> prompt = ActionPrompt(instruction, dimensions);
  SamplerOptions sampling = options.sampler;
  if (!options.unconstrained) sampling.allowed_tokens = {config_.actions.ids()};

  Action action;
  Stopwatch watch;
  const std::vector<float> pixels = eyes_.Process(image);
  action.timings.image_s = watch.Lap();
  const Rows<const float> patches = eyes_.Encode(pixels);
  action.timings.vision_s = watch.Lap();

  const int id = engine_.Add({prompt, patches}, {.sampler = std::move(sampling), .max_new_tokens = dimensions});
  struct Removal {  // also when an action ends with an Error
    Engine& engine;
    int id;
    ~Removal() { engine.Remove(id); }
  } const removal{engine_, id};
  while (!engine_.idle()) {
    const NewToken next = engine_.Step().front();
    if (action.tokens.empty()) {
      action.timings.prefill_s = watch.Lap();
      if (options.trace != nullptr) {
        *options.trace = {pixels,
                          {patches.data, patches.data + patches.rows * patches.width},
                          {next.logits.begin(), next.logits.end()}};
      }
    }
    Describe(next.logits, config_.actions, next.token, &action);
    const auto count = static_cast<int64_t>(action.tokens.size());
    if (next.finish == FinishReason::kEos && count < dimensions) {
      Fail("the model ended its answer at action token {} of {}: without the constraint it gives no action here", count,
           dimensions);
    }
  }
  action.timings.decode_s = watch.Lap();
  action.values = statistics.Unnormalize(action.normalized);
  action.unnorm_key = key;
  action.names = config_.Names(dimensions);
  action.units = config_.Units(dimensions);
  return action;
}

Generation Policy::Answer(const ImageView& image, std::string_view prompt, const GenerateOptions& options,
                          const TokenCallback& on_token) {
  const std::lock_guard lock(mutex_);
  const Rows<const float> patches = eyes_.Encode(eyes_.Process(image));
  const std::vector<int32_t> tokens = PromptTokens(*model_->tokenizer(), prompt, patches.rows);
  return Generate(context_, model_, Prompt(tokens, patches), options, on_token);
}

}  // namespace kinetok
