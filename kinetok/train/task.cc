#include "kinetok/train/task.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/base/json.h"
#include "kinetok/base/math.h"
#include "kinetok/base/random.h"
#include "kinetok/decode/score.h"

namespace kinetok {
namespace {

constexpr std::string_view kWhiteSpace = " \t\n\r\f\v";

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// What Python's str.strip removes, of ASCII.
std::string Strip(const std::string& text) {
  const size_t first = text.find_first_not_of(kWhiteSpace);
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(kWhiteSpace) + 1 - first);
}

// Removes "[...]" on one line, as the pattern \[.*?\] does.
void RemoveBrackets(std::string& text) {
  for (size_t open = 0; (open = text.find('[', open)) != std::string::npos;) {
    const size_t close = text.find_first_of("]\n", open);
    if (close == std::string::npos) return;
    if (text[close] == '\n') {
      open = close;
    } else {
      text.erase(open, close + 1 - open);
    }
  }
}

std::string PrepareHellaSwag(std::string text) {
  text = Strip(text);
  ReplaceAll(text, " [title]", ". ");
  RemoveBrackets(text);
  ReplaceAll(text, "  ", " ");
  return text;
}

// Python's str.capitalize, on ASCII letters.
std::string Capitalize(std::string text) {
  for (size_t i = 0; i < text.size(); ++i) {
    char& c = text[i];
    if (i == 0 && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (i > 0 && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::vector<std::string> Strings(const JsonObject& line, std::string_view key, size_t at_least) {
  std::vector<std::string> out;
  for (const Json& item : line.Array(key)) {
    if (!item.is_string() || item.get_ref<const std::string&>().empty()) {
      Fail("{}: field \"{}\" holds {}, expected strings that are not empty", line.source(), key, Shorten(item));
    }
    out.push_back(item.get<std::string>());
  }
  if (out.size() < at_least) {
    Fail("{}: field \"{}\" has {} strings, expected at least {}", line.source(), key, out.size(), at_least);
  }
  return out;
}

// HellaSwag's label is a number in the published files, a string of one in some copies.
int64_t Label(const JsonObject& line, std::string_view key, size_t count) {
  const auto last = static_cast<int64_t>(count) - 1;
  const Json* value = line.Has(key) ? &line.json()[std::string(key)] : nullptr;
  if (value == nullptr || !value->is_string()) return line.Int(key, 0, last);
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() != 1 || text[0] < '0' || text[0] - '0' > last) {
    Fail("{}: field \"{}\" is {}, expected a number from 0 to {}", line.source(), key, Shorten(*value), last);
  }
  return text[0] - '0';
}

TaskExample HellaSwag(const JsonObject& line) {
  TaskExample out;
  for (const std::string& ending : Strings(line, "endings", 2)) {
    out.continuations.push_back(fmt::format(" {}", PrepareHellaSwag(ending)));
  }
  out.answer = static_cast<size_t>(Label(line, "label", out.continuations.size()));
  out.prompt = PrepareHellaSwag(
      fmt::format("{}: {} {}", line.String("activity_label"), line.String("ctx_a"), Capitalize(line.String("ctx_b"))));
  return out;
}

TaskExample Lambada(const JsonObject& line) {
  const std::string text = line.String("text");
  const size_t space = text.rfind(' ');
  if (space == std::string::npos || space == 0 || space + 1 == text.size()) {
    Fail("{}: field \"text\" is {}, expected words that spaces part, a word last", line.source(), Shorten(Json(text)));
  }
  TaskExample out;
  out.prompt = text.substr(0, space);
  out.continuations = {text.substr(space)};
  return out;
}

TaskExample Choices(const JsonObject& line) {
  TaskExample out{.prompt = line.String("prompt"),
                  .continuations = Strings(line, "choices", 2),
                  .answer = 0,
                  .group = line.String("group", "")};
  out.answer = static_cast<size_t>(line.Int("answer", 0, static_cast<int64_t>(out.continuations.size()) - 1));
  return out;
}

TaskExample Completion(const JsonObject& line) {
  TaskExample out{.prompt = line.String("prompt"),
                  .continuations = {line.String("completion")},
                  .answer = 0,
                  .group = line.String("group", "")};
  if (out.continuations[0].empty()) Fail("{}: field \"completion\" is empty, expected a text", line.source());
  return out;
}

struct Format {
  std::string_view name, mark;  // the field that tells it
  TaskExample (*read)(const JsonObject&);
};
constexpr Format kFormats[] = {{"hellaswag", "endings", &HellaSwag},
                               {"choices", "choices", &Choices},
                               {"completion", "completion", &Completion},
                               {"lambada", "text", &Lambada}};

const Format& FindFormat(const JsonObject& line) {
  for (const Format& f : kFormats) {
    if (line.Has(f.mark)) return f;
  }
  Fail("{}: none of the fields \"endings\", \"choices\", \"completion\" and \"text\" is there; one tells the format",
       line.source());
}

int64_t CodePoints(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

std::vector<int32_t> Encode(const Model& model, const std::string& text) {
  const Tokenizer& tokenizer = *model.tokenizer();
  std::vector<int32_t> ids = tokenizer.Encode(text, {.special = true, .parse_special = false});
  if (!ids.empty()) return ids;
  const std::optional<int32_t> start = tokenizer.bos_id() ? tokenizer.bos_id() : tokenizer.eos_id();
  if (!start) Fail("a prompt is empty, and the tokenizer has neither BOS nor EOS to stand in its place");
  return {*start};
}

ScoreRequest MakeRequest(const Model& model, const std::string& prompt, const std::string& continuation) {
  ScoreRequest request{.prompt = Encode(model, prompt), .continuation = {}};
  std::vector<int32_t> whole = Encode(model, prompt + continuation);
  if (prompt.empty() && whole.front() != request.prompt.front()) whole.insert(whole.begin(), request.prompt.front());
  if (whole.size() <= request.prompt.size()) {
    Fail("the continuation {} adds no token to its prompt", Shorten(Json(continuation)));
  }
  const auto split = whole.begin() + static_cast<std::ptrdiff_t>(request.prompt.size());
  request.continuation.assign(split, whole.end());
  request.prompt.assign(whole.begin(), split);
  return request;
}

}  // namespace

Task ParseTask(std::string_view text, std::string_view source) {
  Task task;
  const Format* format = nullptr;
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(kWhiteSpace) == std::string_view::npos) continue;
    const std::string place = fmt::format("{}: line {}", source, number);
    const Json json = ParseJson(line, place);
    const JsonObject object(json, place);
    const Format& found = FindFormat(object);
    if (format == nullptr) format = &found;
    if (&found != format) Fail("{}: this is a line of {}, the first one was of {}", place, found.name, format->name);
    task.examples.push_back(found.read(object));
  }
  if (format == nullptr) Fail("{}: no examples; expected one JSON object a line", source);
  task.format = format->name;
  return task;
}

Task ReadTask(const std::filesystem::path& file) {
  return ParseTask(ReadFile(file), file.string());
}

void TaskOptions::Check() const {
  if (shots < 0 || shots > 1000) Fail("shots is {}; it must be 0 to 1000", shots);
  if (limit < 0) Fail("limit is {}; it must be 0 (all) or more", limit);
}

std::string PromptWithShots(const Task& task, size_t example, const Task& pool, const TaskOptions& options) {
  std::string prompt;
  if (options.shots > 0) {
    const std::string& group = task.examples[example].group;
    std::vector<size_t> there;
    for (size_t i = 0; i < pool.examples.size(); ++i) {
      if (pool.examples[i].group == group && !(&pool == &task && i == example)) there.push_back(i);
    }
    if (static_cast<int64_t>(there.size()) < options.shots) {
      Fail("{} shots are asked for, but beside example {} there are {}{}", options.shots, example + 1, there.size(),
           group.empty() ? "" : fmt::format(" of group \"{}\"", group));
    }
    for (size_t s = 0; s < static_cast<size_t>(options.shots); ++s) {  // Fisher and Yates's shuffle, its first steps
      const Philox4 bits = RandomBits(options.seed, RandomStream::kShots, static_cast<uint32_t>(s), example);
      std::swap(there[s], there[s + UniformBelow(bits, there.size() - s)]);
      const TaskExample& shot = pool.examples[there[s]];
      prompt += shot.prompt + shot.continuations[shot.answer] + options.separator;
    }
  }
  return prompt + task.examples[example].prompt;
}

TaskReport RunTask(Context& context, const Model& model, const Task& task, const Task& pool,
                   const TaskOptions& options) {
  options.Check();
  if (model.tokenizer() == nullptr) Fail("the model has no tokenizer; a task is text");
  if (pool.format != task.format) {
    Fail("the shots are of format {}, the task is of {}; expected the same", pool.format, task.format);
  }
  size_t count = task.examples.size();
  if (options.limit > 0) count = std::min(count, static_cast<size_t>(options.limit));
  std::vector<ScoreRequest> requests;
  for (size_t i = 0; i < count; ++i) {
    const std::string prompt = PromptWithShots(task, i, pool, options);
    try {
      for (const std::string& c : task.examples[i].continuations) requests.push_back(MakeRequest(model, prompt, c));
    } catch (const Error& e) {
      Fail("example {}: {}", i + 1, e.what());
    }
  }
  ScoreOptions score_options;
  score_options.progress = options.progress;
  const ScoreReport scored = ScoreContinuations(context, model, requests, score_options);

  TaskReport out{.examples = static_cast<int64_t>(count),
                 .accuracy = {},
                 .accuracy_norm = {},
                 .chance = {},
                 .perplexity = {},
                 .tokens = scored.tokens,
                 .rows = scored.rows,
                 .truncated = scored.truncated};
  int64_t hits = 0, hits_norm = 0;
  double nats = 0, chance = 0;
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    const TaskExample& e = task.examples[i];
    if (!task.has_choices()) {
      nats -= scored.scores[at].log_probability;
      hits += scored.scores[at++].greedy ? 1 : 0;
      continue;
    }
    size_t best = 0, best_norm = 0;
    const auto norm = [&](size_t c) {
      const std::string_view text = e.continuations[c];
      const int64_t length = CodePoints(text.substr(text.starts_with(' ') ? 1 : 0));
      return scored.scores[at + c].log_probability / static_cast<double>(std::max<int64_t>(1, length));
    };
    for (size_t c = 1; c < e.continuations.size(); ++c) {
      if (scored.scores[at + c].log_probability > scored.scores[at + best].log_probability) best = c;
      if (norm(c) > norm(best_norm)) best_norm = c;
    }
    hits += best == e.answer ? 1 : 0;
    hits_norm += best_norm == e.answer ? 1 : 0;
    chance += 1 / static_cast<double>(e.continuations.size());
    at += e.continuations.size();
  }
  const auto n = static_cast<double>(count);
  out.accuracy = MakeProportion(hits, out.examples);
  if (task.has_choices()) {
    out.accuracy_norm = MakeProportion(hits_norm, out.examples);
    out.chance = chance / n;
  } else {
    out.perplexity = Exp(nats / n);
  }
  return out;
}

}  // namespace kinetok
