// kinetok explain steps and explain teacher-forcing: the autoregressive loop, and how training does without it.

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cli/explain.h"
#include "cli/image_flags.h"
#include "cli/sampling_flags.h"
#include "cli/table.h"
#include "kinetok/base/math.h"
#include "kinetok/decode/generate.h"
#include "kinetok/decode/trace.h"
#include "kinetok/vla/policy_config.h"

namespace kinetok::cli {
namespace {

// Several ids as they read together, printable.
std::string PrintableText(const Model& model, std::span<const int32_t> ids) {
  const Tokenizer* tokenizer = model.tokenizer();
  if (tokenizer == nullptr) return fmt::format("{}", fmt::join(ids, " "));
  std::string text;
  for (size_t at = 0; at < ids.size();) {
    const auto unknown = [&](int32_t id) { return !tokenizer->Has(id); };
    const auto end = std::find_if(ids.begin() + static_cast<ptrdiff_t>(at), ids.end(), unknown) - ids.begin();
    text += Printable(tokenizer->Decode(ids.subspan(at, static_cast<size_t>(end) - at)));
    at = static_cast<size_t>(end);
    for (; at < ids.size() && unknown(ids[at]); ++at) text += fmt::format("[{}]", ids[at]);
  }
  return text;
}

const char* YesNo(bool value) {
  return value ? "yes" : "no";
}

struct StepsFlags {
  ModelTextFlags source;
  ImageFlags image;
  std::string instruction, unnorm_key;  // with an instruction the steps are an action's
  CLI::Option* steps_option = nullptr;
  SamplerOptions sampler;
  DrawingFlags drawing;  // with one of these a draw, else the likeliest token
  int64_t steps = 5, top = 5;
};

// What the loop begins with, and how its tokens read.
struct Start {
  std::shared_ptr<const Model> model;
  std::vector<int32_t> ids;  // Prompt::kEmbedding for a patch of the image
  std::optional<SeenImage> image = {};
  std::optional<PolicyConfig> policy = {};
  const ActionStatistics* statistics = nullptr;  // of an action

  // What a token means that is chosen in step number `step` of an action: "x +0.0120".
  std::optional<std::string> Motion(int32_t token, size_t step) const {
    if (statistics == nullptr || !policy->actions.IsAction(token)) return {};
    std::vector<double> normalized(static_cast<size_t>(statistics->dimensions()), 0.0);
    normalized.at(step) = policy->actions.Decode(token);
    return fmt::format("{} {:+.4f}", policy->Names(statistics->dimensions())[step],
                       statistics->Unnormalize(normalized)[step]);
  }
  std::string Name(int32_t token, size_t step) const {
    return Motion(token, step).value_or(Quoted(TokenText(model->tokenizer(), token)));
  }
  std::string Read(std::span<const int32_t> tokens) const {
    std::string text;
    for (size_t at = 0; at < tokens.size();) {
      size_t end = at;
      const bool patch = tokens[at] == Prompt::kEmbedding;
      const auto action = [&](size_t i) { return statistics != nullptr && i >= ids.size(); };
      while (end < tokens.size() && (tokens[end] == Prompt::kEmbedding) == patch && action(end) == action(at)) ++end;
      if (patch) {
        text += fmt::format("[{} patches]", end - at);
      } else if (action(at)) {
        for (; at < end; ++at) text += fmt::format("[{}]", Name(tokens[at], at - ids.size()));
      } else {
        text += PrintableText(*model, tokens.subspan(at, end - at));
      }
      at = end;
    }
    return text;
  }
};

Start LoadStart(const Common& common, Context& context, StepsFlags& flags) {
  Start start;
  if (!flags.image.given()) {
    if (!flags.instruction.empty()) throw UsageError("--instruction needs --image: what the robot sees");
    ModelText text = flags.source.Load(common, context);
    start.model = std::move(text.model);
    start.ids = std::move(text.ids);
    return start;
  }
  if (flags.instruction.empty() == !flags.source.prompt.given()) {
    throw UsageError("--image goes with --instruction, for an action, or with --prompt, for words");
  }
  RequireModel(flags.source.model);
  const PromptFlags& prompt = flags.source.prompt;
  const std::string text = prompt.given() && !prompt.as_ids() ? prompt.Text() : "";
  start.model = Model::Load(context, flags.source.model,
                            common.Loading(prompt.as_ids() ? TokenizerUse::kIfPossible : TokenizerUse::kRequired));
  start.image.emplace(context, start.model, flags.source.model, flags.image);
  if (flags.instruction.empty()) {
    start.ids = start.image->Ids(prompt, text);
    return start;
  }
  start.policy.emplace(start.model->config(), flags.source.model, common.adapter);
  start.statistics = &start.policy->statistics.Choose(flags.unnorm_key).second;
  start.ids = InstructionTokens(*start.model->tokenizer(), flags.instruction, start.policy->style,
                                start.policy->separator, start.image->patches().rows);
  flags.sampler.allowed_tokens = {start.policy->actions.ids()};
  if (flags.steps_option->count() == 0) flags.steps = start.statistics->dimensions();
  if (flags.steps > start.statistics->dimensions()) {
    throw UsageError(
        fmt::format("--steps is {}; an action here has {} tokens", flags.steps, start.statistics->dimensions()));
  }
  return start;
}

int ExplainSteps(const Common& common, StepsFlags& flags) {
  if (!flags.drawing.given()) flags.sampler.greedy = true;
  CheckFlags([&] {
    flags.drawing.Read(flags.sampler);
    flags.sampler.Check();
  });
  const auto context = common.MakeContext();
  const Start start = LoadStart(common, *context, flags);
  const Tokenizer* tokenizer = start.model->tokenizer();
  const std::vector<TracedStep> steps = TraceGeneration(
      *context, *start.model, Prompt(start.ids, start.image ? start.image->patches() : Rows<const float>{}),
      flags.sampler, flags.steps, flags.top);

  std::vector<int32_t> ids = start.ids;
  OrderedJson list = OrderedJson::array();
  std::string out;
  double cached_s = 0, recomputed_s = 0;
  int64_t cached_rows = 0, recomputed_rows = 0;
  bool same_bits = true;
  const auto to_json = [&](const TokenProbability& t, size_t step) {
    return OrderedJson{{"token", start.Motion(t.token, step).value_or(TokenText(tokenizer, t.token))},
                       {"id", t.token},
                       {"p", t.probability}};
  };
  const auto to_text = [&](const TokenProbability& t, size_t step) {
    return fmt::format("{} {:.3f}", start.Name(t.token, step), t.probability);
  };
  for (size_t i = 0; i < steps.size(); ++i) {
    const TracedStep& s = steps[i];
    OrderedJson candidates = OrderedJson::array();
    std::vector<std::string> seen;
    seen.reserve(s.top.size());
    for (const TokenProbability& t : s.top) {
      candidates.push_back(to_json(t, i));
      seen.push_back(to_text(t, i));
    }
    const std::string input = start.Read(ids);
    list.push_back({{"input", input},
                    {"input_tokens", ids.size()},
                    {"candidates", std::move(candidates)},
                    {"choice", to_json(s.choice, i)},
                    {"cached", {{"positions", s.cached_rows}, {"ms", 1e3 * s.cached_s}}},
                    {"recomputed", {{"positions", s.recomputed_rows}, {"ms", 1e3 * s.recomputed_s}}},
                    {"same_bits", s.same_bits}});
    out += fmt::format("step {}\n  input       {}\n  candidates  {}\n  choice      {}\n", i + 1, Quoted(input),
                       fmt::join(seen, "  "), to_text(s.choice, i));
    out += fmt::format("  time        {:.2f} ms for {} new of {} positions; without the cache {:.2f} ms for {}\n",
                       1e3 * s.cached_s, s.cached_rows, ids.size(), 1e3 * s.recomputed_s, s.recomputed_rows);
    cached_s += s.cached_s;
    recomputed_s += s.recomputed_s;
    cached_rows += s.cached_rows;
    recomputed_rows += s.recomputed_rows;
    same_bits = same_bits && s.same_bits;
    ids.push_back(s.choice.token);
  }
  const std::string whole = start.Read(ids);
  if (common.json) {
    PrintJson({{"prompt_tokens", start.ids.size()},
               {"text", whole},
               {"steps", std::move(list)},
               {"cached", {{"positions", cached_rows}, {"ms", 1e3 * cached_s}}},
               {"recomputed", {{"positions", recomputed_rows}, {"ms", 1e3 * recomputed_s}}},
               {"same_bits", same_bits}});
    return 0;
  }
  Print(fmt::format(
      "{}\nresult: {}\nwith the KV cache {} positions in {:.2f} ms, without {} in {:.2f} ms: {:.1f} times the "
      "time; the same bits: {}\n",
      out, Quoted(whole), cached_rows, 1e3 * cached_s, recomputed_rows, 1e3 * recomputed_s, recomputed_s / cached_s,
      YesNo(same_bits)));
  return 0;
}

struct TeacherFlags {
  std::string model, text;
  bool no_parse_special = false;
};

int ExplainTeacherForcing(const Common& common, const TeacherFlags& flags) {
  RequireModel(flags.model);
  const auto context = common.MakeContext();
  const auto model = Model::Load(*context, flags.model, common.Loading());
  const std::vector<int32_t> ids = EncodePrompt(*model, flags.text, !flags.no_parse_special);
  const TeacherForcing trace = TraceTeacherForcing(*context, *model, ids);
  const Tokenizer* tokenizer = model->tokenizer();
  if (common.json) {
    OrderedJson positions = OrderedJson::array();
    for (size_t i = 0; i < trace.targets.size(); ++i) {
      const TracedTarget& t = trace.targets[i];
      positions.push_back({{"position", i},
                           {"token", TokenText(tokenizer, t.token)},
                           {"target", TokenText(tokenizer, t.target)},
                           {"target_id", t.target},
                           {"probability", t.probability},
                           {"loss", t.loss}});
    }
    PrintJson({{"positions", std::move(positions)},
               {"loss", trace.mean_loss},
               {"perplexity", Exp(trace.mean_loss)},
               {"parallel", {{"passes", 1}, {"ms", 1e3 * trace.parallel_s}}},
               {"single", {{"passes", trace.targets.size()}, {"ms", 1e3 * trace.single_s}}},
               {"same_bits", trace.same_bits}});
    return 0;
  }
  Table table({"position", "token", "target", "probability", "loss"}, 3);
  for (size_t i = 0; i < trace.targets.size(); ++i) {
    const TracedTarget& t = trace.targets[i];
    table.Add({fmt::format("{}", i), Quoted(TokenText(tokenizer, t.token)), Quoted(TokenText(tokenizer, t.target)),
               fmt::format("{:.4f}", t.probability), fmt::format("{:.4f}", t.loss)});
  }
  Print(fmt::format(
      "{}\nmean loss {:.4f} nats, perplexity {:.2f}\none parallel pass {:.2f} ms, {} single ones {:.2f} ms; "
      "the same bits: {}\n",
      table.Text(), trace.mean_loss, Exp(trace.mean_loss), 1e3 * trace.parallel_s, trace.targets.size(),
      1e3 * trace.single_s, YesNo(trace.same_bits)));
  return 0;
}

}  // namespace

void AddExplainSteps(CLI::App& group, Common& common) {
  auto flags = std::make_shared<StepsFlags>();
  CLI::App* command = AddCommand(
      group, common,
      {"steps",
       "The autoregressive loop, step by step, and what the KV cache saves; greedy unless a drawing flag is given",
       "kinetok explain steps --model models/writer --prompt \"오늘 날씨가\" -n 5"},
      [flags, &common] { return ExplainSteps(common, *flags); });
  flags->source.Add(command, common);
  const CLI::Range many(1, 1000);
  flags->image.Add(command);
  command->add_option("--instruction", flags->instruction, "With --image: the steps are those of a robot's action");
  command->add_option("--unnorm-key", flags->unnorm_key,
                      "The data set whose statistics turn tokens into motion; needed when the model has several");
  flags->steps_option =
      command->add_option("-n,--steps", flags->steps, "How many tokens; default: 5, or an action's")->check(many);
  command->add_option("--top", flags->top, "How many candidates are shown")->capture_default_str()->check(many);
  flags->drawing.Add(command, flags->sampler);
  AddSeed(command, flags->sampler.seed, "Of the draws");
}

void AddExplainTeacherForcing(CLI::App& group, Common& common) {
  auto flags = std::make_shared<TeacherFlags>();
  CLI::App* command =
      AddCommand(group, common,
                 {"teacher-forcing", "Every position's target, probability and loss, in one pass and one by one",
                  "kinetok explain teacher-forcing --model models/writer --text \"To be, or not to be\""},
                 [flags, &common] { return ExplainTeacherForcing(common, *flags); });
  command->add_option("--model", flags->model, "A model's directory: models/writer is bundled");
  AddAdapter(command, common);
  command->add_option("--text", flags->text, "The text")->required();
  AddNoParseSpecial(command, flags->no_parse_special);
}

}  // namespace kinetok::cli
