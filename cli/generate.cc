// kinetok generate: continues a prompt, or a file of prompts.

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "cli/cli.h"
#include "cli/image_flags.h"
#include "cli/sampling_flags.h"
#include "kinetok/base/file.h"
#include "kinetok/decode/generate.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string model, batch_file;
  ImageFlags image;
  PromptFlags prompt;
  SamplingFlags sampling;
  bool no_parse_special = false;
};

using Ids = std::vector<int32_t>;

OrderedJson TopToJson(const Tokenizer* tokenizer, const std::vector<std::vector<TokenLogprob>>& positions) {
  OrderedJson out = OrderedJson::array();
  for (const std::vector<TokenLogprob>& top : positions) {
    OrderedJson& position = out.emplace_back(OrderedJson::array());
    for (const TokenLogprob& t : top) {
      const bool has_piece = tokenizer != nullptr && tokenizer->Has(t.token);
      position.push_back({{"token", t.token},
                          {"piece", has_piece ? std::string(tokenizer->Piece(t.token)) : ""},
                          {"logprob", t.logprob}});
    }
  }
  return out;
}

// What a text is, whether it is the best or a runner-up.
OrderedJson TextToJson(const Generation& g, const Tokenizer* tokenizer, const GenerateOptions& options) {
  OrderedJson out = {{"tokens", g.tokens}, {"text", g.text}, {"logprobs", g.logprobs}};
  if (options.top_logprobs > 0) out["top_logprobs"] = TopToJson(tokenizer, g.top_logprobs);
  out["finish_reason"] = FinishReasonName(g.finish_reason);
  if (g.score) out["score"] = *g.score;
  return out;
}

OrderedJson ToJson(const Generation& g, const Tokenizer* tokenizer, const GenerateOptions& options, double load_s) {
  OrderedJson out = {{"prompt_tokens", g.prompt_tokens}};
  out.update(TextToJson(g, tokenizer, options));
  if (options.num_return_sequences > 1) {
    out["sequences"] = {TextToJson(g, tokenizer, options)};
    for (const Generation& other : g.runners_up) out["sequences"].push_back(TextToJson(other, tokenizer, options));
  }
  out["timings"] = {{"load_s", load_s},
                    {"prefill_tokens_per_s", g.timings.prefill_tokens_per_s()},
                    {"decode_tokens_per_s", g.timings.decode_tokens_per_s()}};
  return out;
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
  const GenerateOptions& options = flags.sampling.options;
  const std::vector<Generation> results = GenerateBatch(context, model, prompts, options);
  int64_t prompt_tokens = 0, new_tokens = 0;
  for (const Generation& g : results) {
    PrintJson(ToJson(g, model->tokenizer(), options, load_s));
    prompt_tokens += g.prompt_tokens;
    new_tokens += static_cast<int64_t>(g.tokens.size());
  }
  NoteTimings(prompt_tokens, new_tokens, results.front().timings, load_s);
  return options.cancelled() ? kInterrupted : 0;
}

int Generate(const Common& common, Flags& flags) {
  GenerateOptions& options = flags.sampling.options;
  flags.sampling.Check();
  RequireModel(flags.model);
  const bool batch = !flags.batch_file.empty();
  if (batch && flags.image.given()) throw UsageError("--image is for one prompt, not for --batch-file");
  if (batch && flags.prompt.given()) throw UsageError("--batch-file brings its own prompts; leave out the other one");
  options.logprobs = common.json || batch;
  if (!options.logprobs && (options.top_logprobs > 0 || options.num_return_sequences > 1)) {
    throw UsageError("--top-logprobs and --num-return-sequences need --json, which has room for them");
  }

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
  const auto model = Model::Load(*context, flags.model,
                                 common.Loading(needs_text ? TokenizerUse::kRequired : TokenizerUse::kIfPossible));
  if (!model->tokenizer_problem().empty()) Note("without a tokenizer: " + model->tokenizer_problem() + "\n");
  flags.sampling.Bind(*model);
  const double load_s = load.Seconds();
  const std::atomic<bool>& interrupted = CatchInterrupt();
  options.cancelled = [&] { return interrupted.load(); };
  if (batch) return RunBatch(flags, *context, model, load_s);

  if (!flags.prompt.as_ids() && !flags.image.given()) ids = flags.prompt.Encode(*model, text, !flags.no_parse_special);
  std::optional<SeenImage> seen;
  if (flags.image.given()) {
    seen.emplace(*context, model, flags.model, flags.image);
    ids = seen->Ids(flags.prompt, text);
  }
  const bool as_text = model->tokenizer() != nullptr;
  const char* space = "";
  const Generation result = kinetok::Generate(
      *context, model, Prompt(ids, seen ? seen->patches() : Rows<const float>{}), options, [&](const Token& token) {
        if (!common.json) {
          Print(as_text ? token.text : fmt::format("{}{}", std::exchange(space, " "), token.id));
        }
        return Flow::kContinue;
      });
  if (common.json) {
    PrintJson(ToJson(result, model->tokenizer(), options, load_s));
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
  AddAdapter(command, common);
  flags->prompt.Add(command, true);
  flags->image.Add(command);
  command->add_option("--batch-file", flags->batch_file,
                      "Many prompts as one batch, one JSON value a line: \"text\", [ids], {\"prompt\": \"text\"} or "
                      "{\"tokens\": [ids]}; gives one JSON object a line");
  AddNoParseSpecial(command, flags->no_parse_special);

  flags->sampling.Add(command);
  command->add_option("--top-logprobs", flags->sampling.options.top_logprobs,
                      "With --json: so many of the likeliest tokens at each position");
}

}  // namespace kinetok::cli
