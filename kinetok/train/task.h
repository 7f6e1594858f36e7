// Evaluation tasks: questions with choices, and texts whose continuation is known, with zero or more solved examples
// (shots) before each.
//
// A task is a file of JSON objects, one a line, all of one format:
//
//   "hellaswag"   {"activity_label", "ctx_a", "ctx_b", "endings": [4], "label"}   more fields are ignored
//   "lambada"     {"text"}                            the last word, after the last space, is what is asked
//   "choices"     {"prompt", "choices": [2 or more], "answer": index from 0, "group"?}
//   "completion"  {"prompt", "completion", "group"?}
//
// Prompts and continuations of the plain formats are taken as they are: a space between them belongs to one of them.
// HellaSwag's are prepared as lm-evaluation-harness does: the prompt is "activity_label: ctx_a ctx_b" with ctx_b
// capitalised (first letter upper case, others lower case; ASCII letters here), in it and in the endings " [title]"
// becomes ". ", other text in square brackets goes, double spaces become one (once), outer white space goes, and a
// space precedes each ending. LAMBADA's continuation is a space and the last word.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/summary.h"
#include "kinetok/kernels/context.h"
#include "kinetok/model/model.h"

namespace kinetok {

struct TaskExample {
  std::string prompt;
  std::vector<std::string> continuations;  // the choices, or the one that is right
  size_t answer = 0;
  std::string group;  // shots come from the same group
};

struct Task {
  std::string format;  // see above
  std::vector<TaskExample> examples;
  bool has_choices() const { return format == "hellaswag" || format == "choices"; }
};

// Throws Error naming file, line and field.
Task ReadTask(const std::filesystem::path& file);
// The same from the lines of `text`; `source` is what errors call it.
Task ParseTask(std::string_view text, std::string_view source);

struct TaskOptions {
  int64_t shots = 0;
  std::string separator = "\n\n";  // after each shot
  uint64_t seed = 0;               // which shots, drawn for each example without repetition, never itself
  int64_t limit = 0;               // only the first so many examples; 0: all
  std::function<void(int64_t done, int64_t total)> progress = {};  // positions of the model

  void Check() const;  // Throws Error that starts with the field's name
};

struct TaskReport {
  int64_t examples = 0;
  // Choices: the one with the greatest log-probability is right. Completions: every token of it is the likeliest.
  Proportion accuracy;
  std::optional<Proportion> accuracy_norm;  // choices: log-probability divided by characters (without a leading space)
  std::optional<double> chance;             // choices: what guessing would score
  std::optional<double> perplexity;         // completions: exp of the mean -log p of a completion
  int64_t tokens = 0, rows = 0;             // of all requests; positions that were computed
  int64_t truncated = 0;                    // examples' requests whose beginning did not fit the context
};

// The prompt of an example, shots before it; `pool` is where shots come from, the task itself or another of its kind.
// Throws Error when a group holds too few.
std::string PromptWithShots(const Task& task, size_t example, const Task& pool, const TaskOptions& options);

// Ids of a continuation are what Encode(prompt + continuation) has beyond the number of Encode(prompt), as
// lm-evaluation-harness takes them; special tokens typed in a task are plain text; an empty prompt is the model's BOS
// or EOS. On a tie the first choice wins. Throws Error as ScoreContinuations and PromptWithShots do.
TaskReport RunTask(Context& context, const Model& model, const Task& task, const Task& pool,
                   const TaskOptions& options = {});

}  // namespace kinetok
