#include "cli/cli.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "kinetok/base/file.h"
#include "kinetok/decode/generate.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/model/presets.h"
#include "kinetok/vla/policy_config.h"

namespace kinetok::cli {
namespace {

std::atomic<bool> interrupted = false;
std::atomic<int> caught = 0;
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "a signal handler sets them");

void OnInterrupt(int signal) {
  caught = signal;
  interrupted = true;
  std::signal(signal, SIG_DFL);
}

// "$UNSET" in a script: taken for a flag that was not given, it would serve without a key or act without the adapter.
void RefuseEmptyPaths(const CLI::App& command) {
  constexpr std::string_view kPaths[] = {
      "--adapter",     "--api-key-file", "--batch-file", "--config", "--data",         "--decoder",   "--descriptions",
      "--dump",        "--gif",          "--image",      "--model",  "--model-config", "--out",       "--png",
      "--prompt-file", "--questions",    "--shots-file", "--svg",    "--task",         "--tokenizer", "--val-data"};
  for (const std::string_view path : kPaths) {
    const CLI::Option* option = command.get_option_no_throw(std::string(path));
    if (option != nullptr && std::ranges::find(option->results(), "") != option->results().end()) {
      throw UsageError(fmt::format("{} is empty; expected a path", path));
    }
  }
}

}  // namespace

std::unique_ptr<Context> Common::MakeContext() const {
  return std::make_unique<Context>(ContextOptions{.threads = threads, .isa = isa});
}

LoadOptions Common::Loading(TokenizerUse tokenizer) const {
  return {.dtype = {}, .tokenizer = tokenizer, .adapter = adapter, .merge_adapter = merge_adapter};
}

void AddAdapter(CLI::App* command, Common& common) {
  CLI::Option* adapter =
      command->add_option("--adapter", common.adapter, "A LoRA adapter's directory (PEFT), which the model runs with");
  command
      ->add_flag("--merge-adapter", common.merge_adapter,
                 "Add the adapter to the weights instead of running it beside them")
      ->needs(adapter);
}

CLI::App* AddCommand(CLI::App& parent, Common& common, const CommandInfo& info, std::function<int()> run) {
  CLI::App* command = parent.add_subcommand(info.name, info.summary);
  command->footer("Example:\n  " + info.example);
  command->add_option("--threads", common.threads, "Threads; default: the physical cores the process may use")
      ->check(CLI::Range(1, kMaxThreads))
      ->group("Common");
  command->add_option("--isa", common.isa, "Instruction set; the results are the same bits with each")
      ->check(CLI::IsMember({"auto", "portable", "portable-baseline", "avx2", "avx512"}))
      ->group("Common");
  command->add_flag("--json", common.json, "The result as one JSON object on one line")->group("Common");
  command->callback([&common, command, run = std::move(run)] {
    common.run = [command, run] {
      RefuseEmptyPaths(*command);
      return run();
    };
  });
  return command;
}

CLI::Option* AddTexts(CLI::App* command, const std::string& flag, std::vector<std::string>& values,
                      const std::string& help) {
  return command->add_option(flag, values, help)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
}

void AddSeed(CLI::App* command, uint64_t& seed, const std::string& help) {
  // CLI11 would wrap a negative number and clamp a large one.
  const auto in_range = [](const std::string& text) {
    uint64_t value = 0;
    const bool beyond =
        std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc::result_out_of_range;
    return beyond || text.starts_with("-") ? fmt::format("is {}; it must be 0 to 2^64 - 1", text) : std::string();
  };
  command->add_option("--seed", seed, help)->capture_default_str()->check(CLI::Validator(in_range, "", ""));
}

void AddNoParseSpecial(CLI::App* command, bool& no_parse_special) {
  command->add_flag("--no-parse-special", no_parse_special,
                    "Take special tokens typed in the text, such as <|endoftext|>, as plain text");
}

void CheckFlags(const std::function<void()>& check) {
  try {
    check();
  } catch (const Error& error) {
    std::string message = error.what();
    const size_t end = std::min(message.find(' '), message.size());
    for (size_t i = 0; i < end; ++i) {
      if (message[i] == '_') message[i] = '-';
    }
    throw UsageError("--" + message);
  }
}

ModelConfig PresetFlag(const std::string& name) {
  ModelConfig config;
  CheckFlags([&] { config = Preset(name); });
  return config;
}

DType DTypeFlag(const std::string& name) {
  DType dtype{};
  CheckFlags([&] { dtype = ParseDType(name); });
  return dtype;
}

const std::string& RequireModel(const std::string& dir) {
  if (dir.empty()) throw UsageError("no model: give one with --model DIR; models/writer and models/robot are bundled");
  return dir;
}

void CheckUnnormKey(const std::string& dir, const Common& common, const std::string& unnorm_key) {
  if (!unnorm_key.empty()) PolicyConfig(LoadDirectoryConfig(dir), dir, common.adapter).statistics.Choose(unnorm_key);
}

std::vector<int32_t> ParseIds(std::string_view text, std::string_view flag) {
  std::vector<int32_t> ids;
  for (size_t at = 0; (at = text.find_first_not_of(" \t\r\n,", at)) != std::string_view::npos;) {
    const std::string_view word = text.substr(at, text.find_first_of(" \t\r\n,", at) - at);
    int32_t id = 0;
    const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (fault != std::errc() || end != word.data() + word.size() || id < 0) {
      throw UsageError(
          fmt::format("{}: \"{}\" is not a token id; expected whole numbers from 0, as in \"1 2 3\"", flag, word));
    }
    ids.push_back(id);
    at += word.size();
  }
  return ids;
}

std::string ReadStdin() {
  if (isatty(STDIN_FILENO) != 0) Note("reading the text from stdin; Ctrl-D ends it\n");
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

void PromptFlags::Add(CLI::App* command, bool with_file) {
  text_option =
      command->add_option("--prompt", text, "The text to continue; without a prompt flag it comes from stdin");
  tokens_option = command->add_option("--tokens", tokens, "The prompt as token ids: \"1 2 3\"")->excludes(text_option);
  if (with_file) {
    file_option = command->add_option("--prompt-file", file, "A file with the prompt, taken byte for byte")
                      ->excludes(text_option)
                      ->excludes(tokens_option);
  }
}

bool PromptFlags::given() const {
  return text_option->count() + tokens_option->count() > 0 || (file_option != nullptr && file_option->count() > 0);
}

std::string PromptFlags::Text() const {
  if (text_option->count() > 0) return text;
  if (file_option == nullptr || file_option->count() == 0) return ReadStdin();
  if (std::filesystem::is_fifo(file)) {  // <(command) of a shell
    std::ifstream pipe(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(pipe), std::istreambuf_iterator<char>()};
  }
  return ReadFile(file);
}

std::vector<int32_t> PromptFlags::Encode(const Model& model, const std::string& content, bool parse_special) const {
  try {
    return EncodePrompt(model, content, parse_special);
  } catch (const Error& e) {
    if (file.empty()) throw;
    Fail("{}: {}", file, e.what());
  }
}

void PrintJson(const OrderedJson& json) {
  Print(json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
}

void Print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    Fail("stdout cannot be written: {}", std::strerror(errno));
  }
}

void Note(std::string_view text) {
  (void)!std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

const std::atomic<bool>& CatchInterrupt() {
  std::signal(SIGINT, OnInterrupt);
  std::signal(SIGTERM, OnInterrupt);
  return interrupted;
}

int CaughtSignal() {
  return caught;
}

}  // namespace kinetok::cli
