// kinetok tokenize: text to ids and back. Needs a tokenizer, but no weights.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/cli.h"
#include "kinetok/base/file.h"
#include "kinetok/model/checkpoint.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/text/utf8.h"

namespace kinetok::cli {
namespace {

struct Flags {
  std::string model, tokenizer, text, batch_file;
  CLI::Option *text_option = nullptr, *batch_option = nullptr;
  bool decode = false, special = false, plain = false;

  EncodeOptions encode_options() const { return {.special = special, .parse_special = !plain}; }
};

// What --decode prints: JSON and terminals hold UTF-8 only.
std::string DecodeText(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  return ReplaceInvalidUtf8(tokenizer.Decode(ids));
}

// A line of the batch: a JSON string, or with --decode an array of ids.
OrderedJson RunLine(const Tokenizer& tokenizer, const Flags& flags, std::string_view line, const std::string& source) {
  const Json json = ParseJson(line, source);
  if (!flags.decode) {
    if (!json.is_string()) Fail("{}: expected a JSON string, got {}", source, Shorten(json));
    try {
      return tokenizer.Encode(json.get_ref<const std::string&>(), flags.encode_options());
    } catch (const Error& e) {
      Fail("{}: {}", source, e.what());
    }
  }
  if (!json.is_array()) Fail("{}: expected a JSON array of ids, got {}", source, Shorten(json));
  std::vector<int32_t> ids;
  for (const Json& id : json) {
    if (!id.is_number_integer() || id < 0 || id >= tokenizer.vocab_size()) {
      Fail("{}: {} is not an id, expected a whole number from 0 to {}", source, Shorten(id),
           tokenizer.vocab_size() - 1);
    }
    ids.push_back(id.get<int32_t>());
  }
  return DecodeText(tokenizer, ids);
}

std::vector<std::string_view> Pieces(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  std::vector<std::string_view> pieces;
  pieces.reserve(ids.size());
  for (const int32_t id : ids) pieces.push_back(tokenizer.Piece(id));
  return pieces;
}

void RunBatch(const Tokenizer& tokenizer, const Flags& flags) {
  const std::string text = ReadFile(flags.batch_file);
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    PrintJson(RunLine(tokenizer, flags, line, fmt::format("{}: line {}", flags.batch_file, number)));
  }
}

int Tokenize(const Common& common, const Flags& flags) {
  if (!flags.model.empty() && !flags.tokenizer.empty()) throw UsageError("--model and --tokenizer exclude each other");
  if (flags.text_option->count() > 0 && flags.batch_option->count() > 0) {
    throw UsageError("--text and --batch-file exclude each other");
  }
  const Stopwatch load;
  const auto tokenizer = LoadTokenizer(flags.tokenizer.empty() ? RequireModel(flags.model) : flags.tokenizer);
  const double load_s = load.Seconds();
  if (flags.batch_option->count() > 0) {
    RunBatch(*tokenizer, flags);
    return 0;
  }
  const std::string text = flags.text_option->count() > 0 ? flags.text : ReadStdin();
  if (flags.decode) {
    const std::vector<int32_t> ids =
        ParseIds(text, flags.text_option->count() > 0 ? "--text" : "the ids on standard input");
    if (common.json) {
      PrintJson({{"tokens", ids}, {"pieces", Pieces(*tokenizer, ids)}, {"text", DecodeText(*tokenizer, ids)}});
    } else {
      Print(DecodeText(*tokenizer, ids));
    }
    return 0;
  }
  const Stopwatch encode;
  const std::vector<int32_t> ids = tokenizer->Encode(text, flags.encode_options());
  const double encode_s = encode.Seconds();
  if (common.json) {
    PrintJson({{"tokens", ids},
               {"pieces", Pieces(*tokenizer, ids)},
               {"timings", {{"load_s", load_s}, {"encode_s", encode_s}}}});
  } else {
    Print(fmt::format("{}\n", fmt::join(ids, " ")));
  }
  return 0;
}

}  // namespace

void AddTokenize(CLI::App& app, Common& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, common,
                                 {"tokenize", "Turn text into token ids, or ids into text",
                                  "kinetok tokenize --model models/writer --text \"오늘 날씨가\""},
                                 [flags, &common] { return Tokenize(common, *flags); });
  command->add_option("--model", flags->model, "A model's directory: models/writer is bundled");
  command->add_option("--tokenizer", flags->tokenizer, "A tokenizer's file or directory, instead of a model");
  flags->text_option = command->add_option("--text", flags->text, "The text (or ids, with --decode); otherwise stdin");
  flags->batch_option =
      command->add_option("--batch-file", flags->batch_file,
                          "A JSON string a line (with --decode an array of ids); one array of ids a line comes out");
  command->add_flag("--decode", flags->decode, "Take ids and give their text");
  command->add_flag("--special", flags->special, "Add the tokens that the model expects around a text: BOS, [CLS] ...");
  AddNoParseSpecial(command, flags->plain);
}

}  // namespace kinetok::cli
