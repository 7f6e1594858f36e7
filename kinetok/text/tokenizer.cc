#include "kinetok/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"
#include "kinetok/text/byte_level_bpe.h"
#include "kinetok/text/tokenizer_parts.h"
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

struct MergesPair {
  const char *vocabulary, *merges;
};
constexpr std::array kMergesPairs = {MergesPair{"vocab.json", "merges.txt"}, MergesPair{"encoder.json", "vocab.bpe"}};

// merges.txt: a pair a line, after an optional line "#version".
ByteLevelBpe::Merges ReadMerges(const fs::path& path) {
  const std::string text = ReadVocabularyFile(path);
  RequireUtf8(text, path.string());
  ByteLevelBpe::Merges merges;
  size_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("#version")) continue;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string_view::npos) {
      Fail("{}: line {} is \"{}\", expected two pieces with a space between them", path, line_number, line);
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

TokenizerParts ReadMergesPair(const fs::path& vocabulary_path, const fs::path& merges_path, const Json& config) {
  const std::string source = vocabulary_path.string();
  const Json json = ParseJson(ReadVocabularyFile(vocabulary_path), source);
  if (!json.is_object()) Fail("{}: expected a JSON object of pieces and ids, got {}", source, Shorten(json));
  Vocabulary vocabulary = ReadVocabulary(json, source);
  ByteLevelOptions options;
  if (config.is_object())
    options.add_prefix_space = JsonObject(config, "tokenizer_config.json").Bool("add_prefix_space", false);
  TokenizerParts parts;
  const std::string_view end_of_text = "<|endoftext|>";
  if (const auto id = vocabulary.Find(end_of_text)) {
    parts.added.Add({.content = std::string(end_of_text), .id = *id, .special = true}, source);
  }
  parts.model =
      std::make_unique<ByteLevelBpe>(std::move(vocabulary), ReadMerges(merges_path), options, merges_path.string());
  return parts;
}

// tokenizer_config.json's "bos_token" or "eos_token": a string, or an object with a "content".
std::optional<int32_t> ReadNamedToken(const TokenizerParts& parts, const JsonObject& config, const char* key) {
  if (!config.Has(key)) return std::nullopt;
  const Json& value = config.json().at(key);
  const std::string piece = value.is_object() ? config.Object(key).String("content") : config.String(key);
  const auto id = FindToken(parts, piece);
  if (!id) Fail("{}: \"{}\" is \"{}\", which the vocabulary lacks", config.source(), key, piece);
  return id;
}

}  // namespace

std::optional<int32_t> FindToken(const TokenizerParts& parts, std::string_view piece) {
  if (const AddedToken* added = parts.added.Find(piece)) return added->id;
  return parts.model->vocabulary().Find(piece);
}

void NameEnds(TokenizerParts& parts) {
  const auto end_of_text = FindToken(parts, "<|endoftext|>");
  const auto start = FindToken(parts, "<s>"), end = FindToken(parts, "</s>");
  parts.bos = start ? start : end_of_text;
  parts.eos = end ? end : end_of_text;
}

std::shared_ptr<const Tokenizer> Tokenizer::Load(const fs::path& path) {
  const bool is_directory = fs::is_directory(path);
  const fs::path directory = is_directory ? path : path.parent_path();
  const fs::path config_path = directory / "tokenizer_config.json";
  const std::string config_source = config_path.string();
  const Json config = fs::exists(config_path) ? ParseJson(ReadVocabularyFile(config_path), config_source) : Json();

  const auto finish = [&](TokenizerParts parts) {
    if (config.is_null()) {
      NameEnds(parts);
    } else {
      const JsonObject object(config, config_source);
      parts.bos = ReadNamedToken(parts, object, "bos_token");
      parts.eos = ReadNamedToken(parts, object, "eos_token");
    }
    return std::make_shared<const Tokenizer>(std::make_unique<const TokenizerParts>(std::move(parts)));
  };
  const auto read_json = [&](const fs::path& file) {
    const std::string source = file.string();
    return finish(ReadTokenizerJson(ParseJson(ReadVocabularyFile(file), source), source));
  };
  if (is_directory && fs::exists(path / "tokenizer.json")) return read_json(path / "tokenizer.json");
  for (const auto& [vocabulary, merges] : kMergesPairs) {
    const bool here = is_directory ? fs::exists(path / vocabulary) && fs::exists(path / merges)
                                   : path.filename() == vocabulary || path.filename() == merges;
    if (here) return finish(ReadMergesPair(directory / vocabulary, directory / merges, config));
  }
  if (is_directory) {
    Fail("{}: no tokenizer is here; expected tokenizer.json, or vocab.json and merges.txt", path.string());
  }
  return read_json(path);
}

std::shared_ptr<const Tokenizer> Tokenizer::FromJson(std::string_view json, std::string_view source) {
  TokenizerParts parts = ReadTokenizerJson(ParseJson(json, source), std::string(source));
  NameEnds(parts);
  return std::make_shared<const Tokenizer>(std::make_unique<const TokenizerParts>(std::move(parts)));
}

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::Encode(std::string_view utf8, const EncodeOptions& options) const {
  RequireUtf8(utf8, "the text");
  std::vector<int32_t> ids;
  if (options.special) ids = parts_->before;
  parts_->added.Split(utf8, options.parse_special, [&](std::string_view part, int32_t id) {
    if (id >= 0) {
      ids.push_back(id);
    } else {
      parts_->model->Encode(part, static_cast<size_t>(part.data() - utf8.data()), ids);
    }
  });
  if (options.special) ids.insert(ids.end(), parts_->after.begin(), parts_->after.end());
  return ids;
}

void Tokenizer::AppendBytes(int32_t id, int32_t previous, std::string& bytes) const {
  if (const AddedToken* added = parts_->added.Find(id)) {
    bytes += added->content;
  } else if (parts_->model->vocabulary().Has(id)) {
    parts_->model->Decode(id, previous, bytes);
  } else {
    Fail("id {} is not in the tokenizer's vocabulary (its ids end at {})", id, vocab_size() - 1);
  }
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, const DecodeOptions& options) const {
  std::string bytes;
  int32_t previous = -1;
  for (const int32_t id : ids) {
    if (options.skip_special && IsSpecial(id)) continue;
    AppendBytes(id, previous, bytes);
    previous = id;
  }
  return bytes;
}

int32_t Tokenizer::vocab_size() const {
  int32_t size = parts_->model->vocabulary().size();
  for (const AddedToken& token : parts_->added.tokens()) size = std::max(size, token.id + 1);
  return size;
}

bool Tokenizer::Has(int32_t id) const {
  return parts_->model->vocabulary().Has(id) || parts_->added.Find(id) != nullptr;
}

std::string_view Tokenizer::Piece(int32_t id) const {
  if (const AddedToken* added = parts_->added.Find(id)) return added->content;
  if (parts_->model->vocabulary().Has(id)) return parts_->model->vocabulary().Piece(id);
  Fail("id {} is not in the tokenizer's vocabulary (its ids end at {})", id, vocab_size() - 1);
}

std::string Tokenizer::TokenBytes(int32_t id) const {
  std::string bytes;
  AppendBytes(id, id, bytes);
  return bytes;
}

std::optional<int32_t> Tokenizer::TokenId(std::string_view piece) const {
  return FindToken(*parts_, piece);
}

bool Tokenizer::IsSpecial(int32_t id) const {
  const AddedToken* added = parts_->added.Find(id);
  return added != nullptr && added->special;
}

std::optional<int32_t> Tokenizer::bos_id() const {
  return parts_->bos;
}
std::optional<int32_t> Tokenizer::eos_id() const {
  return parts_->eos;
}

std::string Tokenizer::ToJson() const {
  return DescribeTokenizer(*parts_).dump(2) + "\n";
}

void Tokenizer::Save(const fs::path& directory) const {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) Fail("{}: cannot create the folder: {}", directory.string(), error.message());
  OrderedJson config;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  config["clean_up_tokenization_spaces"] = false;
  if (parts_->bos) config["bos_token"] = Piece(*parts_->bos);
  if (parts_->eos) config["eos_token"] = Piece(*parts_->eos);
  WriteFileAtomically(directory / "tokenizer.json", ToJson());
  WriteFileAtomically(directory / "tokenizer_config.json", config.dump(2) + "\n");
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, const DecodeOptions& options)
    : tokenizer_(&tokenizer), options_(options) {}

std::string StreamDecoder::Push(int32_t id) {
  if (options_.skip_special && tokenizer_->IsSpecial(id)) return {};
  tokenizer_->AppendBytes(id, previous_, held_);
  previous_ = id;
  const size_t complete = CompleteUtf8(held_);
  std::string out = ReplaceInvalidUtf8(std::string_view(held_).substr(0, complete));
  held_.erase(0, complete);
  return out;
}

std::string StreamDecoder::Finish() {
  std::string out = ReplaceInvalidUtf8(held_);
  held_.clear();
  previous_ = -1;
  return out;
}

}  // namespace kinetok
