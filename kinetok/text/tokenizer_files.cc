// Tokenizer::Load: which files make a tokenizer, and what tokenizer_config.json says about them.
#include <algorithm>
#include <array>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/text/json_fields.h"
#include "kinetok/text/sentencepiece_file.h"
#include "kinetok/text/tokenizer.h"
#include "kinetok/text/tokenizer_kinds.h"
#include "kinetok/text/utf8.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxFileBytes = uintmax_t{1} << 28;  // 256 MiB: ten times the largest vocabularies in use

std::string ReadVocabularyFile(const fs::path& path) {
  std::error_code error;
  const uintmax_t bytes = fs::file_size(path, error);
  if (!error && bytes > kMaxFileBytes) {
    Fail("{}: {} bytes are too many for a tokenizer; the limit is {}", path, bytes, kMaxFileBytes);
  }
  return ReadFile(path);
}

// An empty object when the file is absent.
Json ReadOptionalJson(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  Json json = ParseJson(ReadVocabularyFile(path), path.string());
  if (!json.is_object()) Fail("{}: expected a JSON object, got {}", path.string(), Shorten(json));
  return json;
}

struct MergesPair {
  const char *vocabulary, *merges;
};
constexpr std::array kMergesPairs = {MergesPair{"vocab.json", "merges.txt"}, MergesPair{"encoder.json", "vocab.bpe"},
                                     MergesPair{"encoder_bpe_40000.json", "vocab_40000.bpe"}};

// Calls `line` with each line, without its end, and its number.
void ReadLines(const fs::path& path, FunctionRef<void(std::string_view, size_t)> visit) {
  const std::string text = ReadVocabularyFile(path);
  RequireUtf8(text, path.string());
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    visit(line, ++number);
  }
}

// merges.txt: a pair a line, after an optional line "#version".
Bpe::Merges ReadMerges(const fs::path& path) {
  Bpe::Merges merges;
  ReadLines(path, [&](std::string_view line, size_t number) {
    if (line.starts_with("#version")) return;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string_view::npos) {
      Fail("{}: line {} is \"{}\", expected two pieces with a space between them", path.string(), number, line);
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  });
  return merges;
}

// What stands beside a vocabulary.
struct Beside {
  fs::path directory;
  Json tokenizer_config;  // an empty object when the file is absent
  bool has_config = false;

  JsonObject config() const { return {tokenizer_config, (directory / "tokenizer_config.json").string()}; }
};

bool IsGpt1(const Vocabulary& vocabulary, const Beside& beside) {
  const fs::path path = beside.directory / "config.json";
  const Json json = ReadOptionalJson(path);
  const std::string type = JsonObject(json, path.string()).String("model_type", "");
  if (!type.empty()) return type == "openai-gpt";
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.Has(id) && vocabulary.Piece(id).ends_with(kEndOfWord)) return true;
  }
  return false;
}

TokenizerParts ReadMergesPair(const fs::path& vocabulary_path, const fs::path& merges_path, const Beside& beside) {
  const std::string source = vocabulary_path.string();
  const Json json = ParseJson(ReadVocabularyFile(vocabulary_path), source);
  if (!json.is_object()) Fail("{}: expected a JSON object of pieces and ids, got {}", source, Shorten(json));
  Vocabulary vocabulary = ReadVocabulary(json, source);
  const Bpe::Merges merges = ReadMerges(merges_path);
  if (IsGpt1(vocabulary, beside)) return Gpt1Parts(std::move(vocabulary), merges, merges_path.string());
  const JsonObject config = beside.config();
  TokenizerParts parts =
      Gpt2Parts(std::move(vocabulary), merges, config.Bool("add_prefix_space", false), merges_path.string());
  const auto end_of_text = parts.model->vocabulary().Find("<|endoftext|>");
  if (end_of_text) AddPieceAsToken(parts, *end_of_text, true, source);
  if (config.Bool("add_bos_token", false)) PutAround(parts, end_of_text, std::nullopt);
  return parts;
}

// The piece of tokenizer_config.json's "bos_token" and the like: a string, or an object with a "content".
std::string ReadNamedPiece(const JsonObject& config, const char* key) {
  return config.json().at(key).is_object() ? config.Object(key).String("content") : config.String(key);
}

std::optional<int32_t> ReadNamedToken(const TokenizerParts& parts, const JsonObject& config, const char* key) {
  if (!config.Has(key)) return std::nullopt;
  const std::string piece = ReadNamedPiece(config, key);
  const auto id = FindToken(parts, piece);
  if (!id) Fail("{}: \"{}\" is \"{}\", which the vocabulary lacks", config.source(), key, piece);
  return id;
}

// vocab.txt: a piece a line, its id the line's number from 0.
TokenizerParts ReadVocabularyList(const fs::path& path, const Beside& beside) {
  WordPieceVocabulary vocabulary;
  ReadLines(path, [&](std::string_view line, size_t /*number*/) { vocabulary.pieces.emplace_back(line); });
  const JsonObject config = beside.config();
  RequireValue(config, "do_basic_tokenize", true);
  RequireValue(config, "never_split", Json::array());
  vocabulary.lower_case = config.Bool("do_lower_case", true);
  vocabulary.chinese_characters = config.Bool("tokenize_chinese_chars", true);
  if (config.Has("strip_accents")) vocabulary.strip_accents = config.Bool("strip_accents");
  for (const auto& [key, id] : {std::pair("unk_token", &vocabulary.ids.unk),
                                {"cls_token", &vocabulary.ids.cls},
                                {"sep_token", &vocabulary.ids.sep},
                                {"pad_token", &vocabulary.ids.pad},
                                {"mask_token", &vocabulary.ids.mask}}) {
    if (!config.Has(key)) continue;
    const std::string piece = ReadNamedPiece(config, key);
    const auto found = std::ranges::find(vocabulary.pieces, piece);
    if (found == vocabulary.pieces.end()) {
      Fail("{}: \"{}\" is \"{}\", which the vocabulary lacks", config.source(), key, piece);
    }
    *id = static_cast<int32_t>(found - vocabulary.pieces.begin());
  }
  return WordPieceParts(vocabulary, path.string());
}

TokenizerParts ReadSentencePiece(const fs::path& path, const Beside& beside) {
  const std::string source = path.string();
  SentencePieceVocabulary vocabulary = ReadSentencePieceModel(ReadVocabularyFile(path), source);
  const JsonObject config = beside.config();
  vocabulary.prefix_after_special = config.Bool("legacy", true);
  vocabulary.add_dummy_prefix = vocabulary.add_dummy_prefix && config.Bool("add_prefix_space", true);
  vocabulary.add_bos = config.Bool("add_bos_token", true);
  vocabulary.add_eos = config.Bool("add_eos_token", false);
  return SentencePieceParts(vocabulary, source);
}

// Tokens that were added to a vocabulary after it was made: added_tokens.json, {"<PAD>": 32000}, and
// tokenizer_config.json's "added_tokens_decoder", {"32000": {"content": "<PAD>", "special": true}}.
void ReadTokensBeside(TokenizerParts& parts, const Beside& beside) {
  const auto add = [&](const AddedToken& token, const std::string& source) {
    if (const AddedToken* known = parts.added.Find(token.content); known != nullptr && known->id == token.id) return;
    AddToken(parts, token, int64_t{parts.model->vocabulary().count()} + kMaxIdHoles, source);
  };
  const JsonObject config = beside.config();
  if (config.Has("added_tokens_decoder")) {
    const JsonObject decoder = config.Object("added_tokens_decoder");
    for (const auto& [key, value] : decoder.json().items()) {
      Json entry = value;
      const Json id = Json::parse(key, nullptr, false);
      if (entry.is_object()) entry["id"] = id.is_discarded() ? Json(key) : id;
      add(ReadAddedToken(JsonObject(entry, fmt::format("{}: {}", decoder.source(), key))), config.source());
    }
  }
  const fs::path path = beside.directory / "added_tokens.json";
  const Json list = ReadOptionalJson(path);
  for (const auto& [content, id] : list.items()) {
    const Json entry = {{"content", content}, {"id", id}, {"normalized", false}};
    add(ReadAddedToken(JsonObject(entry, fmt::format("{}: {}", path.string(), content))), path.string());
  }
}

std::shared_ptr<const Tokenizer> Finish(TokenizerParts parts, const Beside& beside) {
  const JsonObject config = beside.config();
  for (const auto& [key, id] : {std::pair("bos_token", &parts.special.bos),
                                {"eos_token", &parts.special.eos},
                                {"unk_token", &parts.special.unk},
                                {"pad_token", &parts.special.pad},
                                {"cls_token", &parts.special.cls},
                                {"sep_token", &parts.special.sep},
                                {"mask_token", &parts.special.mask}}) {
    if (config.json().contains(key)) *id = ReadNamedToken(parts, config, key);
  }
  if (!beside.has_config) NameEnds(parts);
  NameOthers(parts);
  return std::make_shared<const Tokenizer>(std::make_unique<const TokenizerParts>(std::move(parts)));
}

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::Load(const fs::path& path) {
  const bool is_directory = fs::is_directory(path);
  Beside beside;
  beside.directory = is_directory ? path : path.parent_path();
  beside.has_config = fs::exists(beside.directory / "tokenizer_config.json");
  beside.tokenizer_config = ReadOptionalJson(beside.directory / "tokenizer_config.json");

  const auto read_json = [&](const fs::path& file) {
    const std::string source = file.string();
    return Finish(ReadTokenizerJson(ParseJson(ReadVocabularyFile(file), source), source), beside);
  };
  const auto finish_old = [&](TokenizerParts parts) {
    ReadTokensBeside(parts, beside);
    return Finish(std::move(parts), beside);
  };
  if (is_directory && fs::exists(path / "tokenizer.json")) return read_json(path / "tokenizer.json");
  if (is_directory && fs::exists(path / "tokenizer.model")) {
    return finish_old(ReadSentencePiece(path / "tokenizer.model", beside));
  }
  if (!is_directory && path.extension() == ".model") return finish_old(ReadSentencePiece(path, beside));
  for (const auto& [vocabulary, merges] : kMergesPairs) {
    const bool here = is_directory ? fs::exists(path / vocabulary) && fs::exists(path / merges)
                                   : path.filename() == vocabulary || path.filename() == merges;
    if (here) return finish_old(ReadMergesPair(beside.directory / vocabulary, beside.directory / merges, beside));
  }
  if (is_directory && fs::exists(path / "vocab.txt")) return finish_old(ReadVocabularyList(path / "vocab.txt", beside));
  if (!is_directory && path.extension() == ".txt") return finish_old(ReadVocabularyList(path, beside));
  if (is_directory) {
    Fail("{}: no tokenizer is here; expected tokenizer.json, tokenizer.model, vocab.json and merges.txt, or vocab.txt",
         path.string());
  }
  return read_json(path);
}

std::shared_ptr<const Tokenizer> Tokenizer::FromJson(std::string_view json, std::string_view source) {
  TokenizerParts parts = ReadTokenizerJson(ParseJson(json, source), std::string(source));
  NameEnds(parts);
  NameOthers(parts);
  return std::make_shared<const Tokenizer>(std::make_unique<const TokenizerParts>(std::move(parts)));
}

}  // namespace kinetok
