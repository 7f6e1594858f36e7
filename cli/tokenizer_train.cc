// kinetok tokenizer train: a tokenizer made from text files, saved as Hugging Face's tokenizer.json.

#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "cli/cli.h"
#include "kinetok/base/file.h"
#include "kinetok/text/tokenizer_trainer.h"
#include "kinetok/train/dataset.h"

namespace kinetok::cli {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::vector<std::string> data, special_tokens;
  std::string kind = "bytes-bpe", out;
  int32_t vocab_size = BytesBpeOptions().vocab_size;
  int64_t min_frequency = BytesBpeOptions().min_frequency;
  CLI::Option *vocab_size_option = nullptr, *special_option = nullptr;
};

template <class Trainer>
std::shared_ptr<const Tokenizer> TrainOn(Trainer& trainer, const std::vector<std::string>& data) {
  for (const fs::path& path : CollectFiles({data.begin(), data.end()})) {
    const MappedFile file(path);
    try {
      trainer.Add({reinterpret_cast<const char*>(file.bytes().data()), file.size()});
    } catch (const Error& e) {
      Fail("{}: {}", path.string(), e.what());
    }
  }
  return trainer.Train();
}

int TokenizerTrain(const Common& common, const Flags& flags) {
  if (flags.data.empty()) throw UsageError("--data is missing: the text files to learn from");
  if (flags.out.empty()) throw UsageError("--out is missing: the directory to write tokenizer.json into");
  std::shared_ptr<const Tokenizer> tokenizer;
  if (flags.kind == "bytes-bpe") {
    BytesBpeOptions options = {.vocab_size = flags.vocab_size, .min_frequency = flags.min_frequency};
    if (flags.special_option->count() > 0) options.special_tokens = flags.special_tokens;
    std::optional<BytesBpeTrainer> trainer;
    CheckFlags([&] { trainer.emplace(options); });
    tokenizer = TrainOn(*trainer, flags.data);
  } else if (flags.kind == "char") {
    if (flags.vocab_size_option->count() > 0) {
      throw UsageError("--vocab-size does not go with --kind char: the vocabulary is the characters of the data");
    }
    std::optional<CharTrainer> trainer;
    CheckFlags([&] { trainer.emplace(flags.special_tokens); });
    tokenizer = TrainOn(*trainer, flags.data);
  } else {
    throw UsageError(fmt::format("--kind is \"{}\"; it must be bytes-bpe or char", flags.kind));
  }
  tokenizer->Save(flags.out);
  if (common.json) {
    PrintJson({{"vocab_size", tokenizer->vocab_size()}});
  } else {
    Print(fmt::format("{}: {} tokens\n", (fs::path(flags.out) / "tokenizer.json").string(), tokenizer->vocab_size()));
  }
  return 0;
}

}  // namespace

void AddTokenizer(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* group = app.add_subcommand("tokenizer", "Make tokenizers");
  group->require_subcommand(1);
  CLI::App* command = AddCommand(*group, common,
                                 {"train", "Learn a tokenizer from text files",
                                  "kinetok tokenizer train --data book.txt --vocab-size 8192 --out my-tokenizer"},
                                 [flags, &common] { return TokenizerTrain(common, *flags); });
  command->add_option("--data", flags->data, "Text files, or folders of them; a file is one document");
  command->add_option("--kind", flags->kind, "bytes-bpe (the default) or char")->capture_default_str();
  flags->vocab_size_option =
      command->add_option("--vocab-size", flags->vocab_size, "Tokens in all, with the 256 bytes and special tokens")
          ->capture_default_str();
  command->add_option("--min-frequency", flags->min_frequency, "How often a pair must occur to become a token")
      ->capture_default_str();
  flags->special_option = AddTexts(command, "--special-token", flags->special_tokens,
                                   "A token of its own kind, repeatable (bytes-bpe: <|endoftext|> unless given)");
  command->add_option("--out", flags->out, "The directory to write tokenizer.json into");
}

}  // namespace kinetok::cli
