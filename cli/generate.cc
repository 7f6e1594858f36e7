// kinetok generate: continues a prompt, or a file of prompts.

#include <fmt/format.h>

#include <utility>

#include "cli/cli.h"
#include "kinetok/base/file.h"
#include "kinetok/decode/generate.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string model, batch_file;
  PromptFlags prompt;
  GenerateOptions options;
  bool no_parse_special = false;
};

using Ids = std::vector<int32_t>;

OrderedJson ToJson(const Generation& g, double load_s) {
  return {{"prompt_tokens", g.prompt_tokens},
          {"tokens", g.tokens},
          {"text", g.text},
          {"logprobs", g.logprobs},
          {"finish_reason", FinishReasonName(g.finish_reason)},
          {"timings",
           {{"load_s", load_s},
            {"prefill_tokens_per_s", g.timings.prefill_tokens_per_s()},
            {"decode_tokens_per_s", g.timings.decode_tokens_per_s()}}}};
}

void NoteTimings(int64_t prompt_tokens, int64_t new_tokens, const Timings& t, double load_s) {
  Note(fmt::format("{} prompt tokens, {} new; load {:.2f} s, prefill {:.1f} tok/s, decode {:.1f} tok/s\n",
                   prompt_tokens, new_tokens, load_s, t.prefill_tokens_per_s(), t.decode_tokens_per_s()));
}

// A prompt of a batch file: "text", [ids], {"prompt": "text"} or {"tokens": [ids]}.
Ids ReadPrompt(const Model& model, const Json& line, const std::string& source, bool parse_special) {
  const Json* value = &line;
  if (line.is_object()) {
    const JsonObject object(line, source);
    value = object.Has("tokens") ? &object.Array("tokens") : nullptr;
    if (value == nullptr) return EncodePrompt(model, object.String("prompt"), parse_special);
  }
  if (value->is_string()) return EncodePrompt(model, value->get<std::string>(), parse_special);
  if (!value->is_array())
    Fail("{} is neither a string, an array of ids, nor an object with one of them", Shorten(line));
  Ids ids;
  for (const Json& id : *value) {
    if (!id.is_number_integer() || id < 0 || id >= model.config().vocab_size) {
      Fail("{} is not a token id of a vocabulary of {}", Shorten(id), model.config().vocab_size);
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

std::vector<Ids> ReadBatch(const Model& model, const std::string& file, bool parse_special) {
  const std::string text = ReadFile(file);
  std::vector<Ids> prompts;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string source = fmt::format("{}: line {}", file, number);
    const Json json = ParseJson(line, source);
    try {
      prompts.push_back(ReadPrompt(model, json, source, parse_special));
      CheckPrompt(model.config(), prompts.back());
    } catch (const Error& error) {
      const std::string message = error.what();
      if (message.starts_with(source)) throw;
      Fail("{}: {}", source, message);
    }
  }
  if (prompts.empty()) Fail("{}: no prompts; expected one JSON value a line", file);
  return prompts;
}

int RunBatch(const Flags& flags, Context& context, const std::shared_ptr<const Model>& model, double load_s) {
  const std::vector<Ids> prompts = ReadBatch(*model, flags.batch_file, !flags.no_parse_special);
  const std::atomic<bool>& interrupted = CatchInterrupt();
  const std::vector<Generation> results =
      GenerateBatch(context, model, prompts, flags.options,
                    [&](size_t, const Token&) { return interrupted ? Flow::kStopAll : Flow::kContinue; });
  int64_t prompt_tokens = 0, new_tokens = 0;
  for (const Generation& g : results) {
    PrintJson(ToJson(g, load_s));
    prompt_tokens += g.prompt_tokens;
    new_tokens += static_cast<int64_t>(g.tokens.size());
  }
  NoteTimings(prompt_tokens, new_tokens, results.front().timings, load_s);
  return interrupted ? kInterrupted : 0;
}

int Generate(const Common& common, Flags& flags) {
  CheckFlags([&] { flags.options.Check(); });
  RequireModel(flags.model);
  const bool batch = !flags.batch_file.empty();
  if (batch && flags.prompt.given()) throw UsageError("--batch-file brings its own prompts; leave out the other one");
  flags.options.logprobs = common.json || batch;

  Ids ids;
  std::string text;
  if (flags.prompt.as_ids()) {
    ids = flags.prompt.Ids();
  } else if (!batch) {
    text = flags.prompt.Text();
  }
  const auto context = common.MakeContext();
  const Stopwatch load;
  const bool needs_text = !flags.prompt.as_ids() && !batch;
  const auto model =
      Model::Load(*context, flags.model,
                  {.dtype = {}, .tokenizer = needs_text ? TokenizerUse::kRequired : TokenizerUse::kIfPossible});
  if (!model->tokenizer_problem().empty()) Note("without a tokenizer: " + model->tokenizer_problem() + "\n");
  const double load_s = load.Seconds();
  if (batch) return RunBatch(flags, *context, model, load_s);

  if (!flags.prompt.as_ids()) ids = flags.prompt.Encode(*model, text, !flags.no_parse_special);
  const std::atomic<bool>& interrupted = CatchInterrupt();
  const bool as_text = model->tokenizer() != nullptr;
  const char* space = "";
  const Generation result = kinetok::Generate(*context, model, ids, flags.options, [&](const Token& token) {
    if (!common.json) {
      Print(as_text ? token.text : fmt::format("{}{}", std::exchange(space, " "), token.id));
    }
    return interrupted ? Flow::kStop : Flow::kContinue;
  });
  if (common.json) {
    PrintJson(ToJson(result, load_s));
  } else {
    Print("\n");
    NoteTimings(result.prompt_tokens, static_cast<int64_t>(result.tokens.size()), result.timings, load_s);
  }
  return interrupted ? kInterrupted : 0;
}

}  // namespace

void AddGenerate(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      AddCommand(app, common,
                 {"generate", "Continue a prompt, token by token",
                  "kinetok generate --model models/writer --prompt \"ROMEO:\" --temperature 0.8 --seed 7"},
                 [flags, &common] { return Generate(common, *flags); });
  command->add_option("--model", flags->model, "A model's directory: models/writer is bundled");
  flags->prompt.Add(command, true);
  command->add_option("--batch-file", flags->batch_file,
                      "Many prompts as one batch, one JSON value a line: \"text\", [ids], {\"prompt\": \"text\"} or "
                      "{\"tokens\": [ids]}; gives one JSON object a line");
  AddNoParseSpecial(command, flags->no_parse_special);

  GenerateOptions& o = flags->options;
  command->add_option("--max-new-tokens", o.max_new_tokens, "Stop after so many")->capture_default_str();
  command->add_flag("--greedy", o.sampler.greedy, "Always the likeliest token");
  command->add_option("--temperature", o.sampler.temperature, "Divides the logits; 0 is greedy")->capture_default_str();
  command->add_option("--top-k", o.sampler.top_k, "Only the k likeliest tokens; 0: all")->capture_default_str();
  command->add_option("--top-p", o.sampler.top_p, "Only the likeliest tokens that together reach this probability")
      ->capture_default_str();
  AddSeed(command, o.sampler.seed, "The same seed gives the same text");
  AddTexts(command, "--stop", o.stop, "End before this text; may be repeated");
}

}  // namespace kinetok::cli
