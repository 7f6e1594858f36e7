// kinetok explain steps and explain teacher-forcing: the autoregressive loop, and how training does without it.

#include <fmt/format.h>

#include "cli/explain.h"
#include "cli/sampling_flags.h"
#include "cli/table.h"
#include "kinetok/base/math.h"
#include "kinetok/decode/generate.h"
#include "kinetok/decode/trace.h"

namespace kinetok::cli {
namespace {

// Several ids as they read together, printable.
std::string PrintableText(const Model& model, std::span<const int32_t> ids) {
  if (model.tokenizer() == nullptr) return fmt::format("{}", fmt::join(ids, " "));
  return Printable(model.tokenizer()->Decode(ids));
}

const char* YesNo(bool value) {
  return value ? "yes" : "no";
}

struct StepsFlags {
  ModelTextFlags source;
  SamplerOptions sampler;
  DrawingFlags drawing;  // with one of these a draw, else the likeliest token
  int64_t steps = 5, top = 5;
};

int ExplainSteps(const Common& common, StepsFlags& flags) {
  if (!flags.drawing.given()) flags.sampler.greedy = true;
  CheckFlags([&] {
    flags.drawing.Read(flags.sampler);
    flags.sampler.Check();
  });
  const auto context = common.MakeContext();
  const ModelText text = flags.source.Load(common, *context);
  const Tokenizer* tokenizer = text.model->tokenizer();
  const std::vector<TracedStep> steps =
      TraceGeneration(*context, *text.model, text.ids, flags.sampler, flags.steps, flags.top);

  std::vector<int32_t> ids = text.ids;
  OrderedJson list = OrderedJson::array();
  std::string out;
  double cached_s = 0, recomputed_s = 0;
  int64_t cached_rows = 0, recomputed_rows = 0;
  bool same_bits = true;
  const auto to_json = [&](const TokenProbability& t) {
    return OrderedJson{{"token", TokenText(tokenizer, t.token)}, {"id", t.token}, {"p", t.probability}};
  };
  const auto to_text = [&](const TokenProbability& t) {
    return fmt::format("{} {:.3f}", Quoted(TokenText(tokenizer, t.token)), t.probability);
  };
  for (size_t i = 0; i < steps.size(); ++i) {
    const TracedStep& s = steps[i];
    OrderedJson candidates = OrderedJson::array();
    std::vector<std::string> seen;
    seen.reserve(s.top.size());
    for (const TokenProbability& t : s.top) {
      candidates.push_back(to_json(t));
      seen.push_back(to_text(t));
    }
    const std::string input = PrintableText(*text.model, ids);
    list.push_back({{"input", input},
                    {"input_tokens", ids.size()},
                    {"candidates", std::move(candidates)},
                    {"choice", to_json(s.choice)},
                    {"cached", {{"positions", s.cached_rows}, {"ms", 1e3 * s.cached_s}}},
                    {"recomputed", {{"positions", s.recomputed_rows}, {"ms", 1e3 * s.recomputed_s}}},
                    {"same_bits", s.same_bits}});
    out += fmt::format("step {}\n  input       {}\n  candidates  {}\n  choice      {}\n", i + 1, Quoted(input),
                       fmt::join(seen, "  "), to_text(s.choice));
    out += fmt::format("  time        {:.2f} ms for {} new of {} positions; without the cache {:.2f} ms for {}\n",
                       1e3 * s.cached_s, s.cached_rows, ids.size(), 1e3 * s.recomputed_s, s.recomputed_rows);
    cached_s += s.cached_s;
    recomputed_s += s.recomputed_s;
    cached_rows += s.cached_rows;
    recomputed_rows += s.recomputed_rows;
    same_bits = same_bits && s.same_bits;
    ids.push_back(s.choice.token);
  }
  const std::string whole = PrintableText(*text.model, ids);
  if (common.json) {
    PrintJson({{"prompt_tokens", text.ids.size()},
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
  command->add_option("-n,--steps", flags->steps, "How many tokens")->capture_default_str()->check(many);
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
