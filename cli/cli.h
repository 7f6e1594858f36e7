// What the subcommands of `kinetok` share. A command is a thin file: it declares its flags, calls the library once and
// prints. It registers itself like this:
//
//   void AddGreet(CLI::App& app, Common& common) {
//     auto flags = std::make_shared<Flags>();
//     CLI::App* command = AddCommand(app, common, {"greet", "Says hello", "kinetok greet --name Ada"},
//                                    [flags, &common] { return Greet(common, *flags); });
//     command->add_option("--name", flags->name, "Who is greeted")->required();
//   }
//
// `Greet` returns the exit status: 0, or kInterrupted. Failures are exceptions: kinetok::Error becomes one line on
// stderr and status 1, UsageError the same with status 2.
#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/base/json.h"
#include "kinetok/kernels/context.h"
#include "kinetok/model/model.h"
#include "kinetok/tensor/dtype.h"

namespace kinetok::cli {

inline constexpr int kInterrupted = 130;  // exit status after SIGINT

// Wrong usage: a flag that is missing or out of range.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The flags that every command takes, and the command that was chosen.
struct Common {
  int threads = 0;  // 0: the physical cores that the process may use
  std::string isa = "auto";
  bool json = false;
  std::string adapter;  // of commands with AddAdapter
  bool merge_adapter = false;
  std::function<int()> run;

  std::unique_ptr<Context> MakeContext() const;
  LoadOptions Loading(TokenizerUse tokenizer = TokenizerUse::kRequired) const;  // with the adapter
};

struct CommandInfo {
  std::string name, summary, example;  // the example is a command line, shown under --help
};

// A subcommand of `parent` with the common flags; `run` is called once the whole line has been read.
CLI::App* AddCommand(CLI::App& parent, Common& common, const CommandInfo& info, std::function<int()> run);

// A flag that may be repeated, each time with one string taken as it is (CLI11 reads "[a,b]" as a list otherwise).
CLI::Option* AddTexts(CLI::App* command, const std::string& flag, std::vector<std::string>& values,
                      const std::string& help);

// --adapter and --merge-adapter, which Loading passes on.
void AddAdapter(CLI::App* command, Common& common);

// --seed, 0 to 2^64 - 1.
void AddSeed(CLI::App* command, uint64_t& seed, const std::string& help);
void AddNoParseSpecial(CLI::App* command, bool& no_parse_special);

// The commands, each in the file of its name.
void AddAct(CLI::App& app, Common& common);
void AddBench(CLI::App& app, Common& common);
void AddConvert(CLI::App& app, Common& common);
void AddEmbed(CLI::App& app, Common& common);
void AddFinetune(CLI::App& app, Common& common);
void AddFillMask(CLI::App& app, Common& common);
void AddEval(CLI::App& app, Common& common);
void AddExplain(CLI::App& app, Common& common);  // the group of `explain mask`, `explain decoding` ...
void AddGenerate(CLI::App& app, Common& common);
void AddInit(CLI::App& app, Common& common);
void AddInspect(CLI::App& app, Common& common);
void AddLogits(CLI::App& app, Common& common);
void AddPerplexity(CLI::App& app, Common& common);
void AddServe(CLI::App& app, Common& common);
void AddSim(CLI::App& app, Common& common);  // the group of `sim record`, `sim run` ...
void AddTokenize(CLI::App& app, Common& common);
void AddTokenizer(CLI::App& app, Common& common);  // the group of `tokenizer train`
void AddTrain(CLI::App& app, Common& common);

// Runs the check of a library's options, whose Errors start with the field's name, and turns them into a UsageError
// about the flag of that name: "top_p is 1.5; ..." -> "--top-p is 1.5; ...".
void CheckFlags(const std::function<void()>& check);

// The value of --preset or --dtype; UsageError with the nearest name.
ModelConfig PresetFlag(const std::string& name);
DType DTypeFlag(const std::string& name);

// `dir` itself; UsageError that names the bundled models when it is empty.
const std::string& RequireModel(const std::string& dir);

// Throws Error when `unnorm_key`, unless it is empty, names none of a policy's data sets: for before the weights are
// read, which takes long of large ones.
void CheckUnnormKey(const std::string& dir, const Common& common, const std::string& unnorm_key);

// "1 2 3" (spaces or commas) as ids. UsageError naming `flag` and the faulty word.
std::vector<int32_t> ParseIds(std::string_view text, std::string_view flag);

std::string ReadStdin();  // byte for byte

// The flags that a prompt comes from, and the prompt: its bytes, unless it was given as ids.
struct PromptFlags {
  std::string text, file, tokens;
  CLI::Option *text_option = nullptr, *file_option = nullptr, *tokens_option = nullptr;
  void Add(CLI::App* command, bool with_file);
  bool given() const;
  bool as_ids() const { return tokens_option->count() > 0; }
  std::vector<int32_t> Ids() const { return ParseIds(tokens, "--tokens"); }
  std::string Text() const;  // --prompt or --prompt-file, else stdin
  // Text() as ids; an Error names the file that it came from.
  std::vector<int32_t> Encode(const Model& model, const std::string& text, bool parse_special) const;
};

// stdout: one line of JSON, or text as it is; flushed. Throws Error when it cannot be written.
void PrintJson(const OrderedJson& json);
void Print(std::string_view text);
// stderr: progress and statistics. Never fails.
void Note(std::string_view text);

// From now on SIGINT and SIGTERM set the flag that is returned instead of ending the process; the second one ends it.
const std::atomic<bool>& CatchInterrupt();
int CaughtSignal();  // which one did; 0: none yet

class Stopwatch {
 public:
  double Seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace kinetok::cli
