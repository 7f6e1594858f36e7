// Reading and writing Hugging Face's tokenizer.json. What is not understood is refused by name: a field that was
// skipped could change the ids.
#include <algorithm>

#include "kinetok/base/error.h"
#include "kinetok/text/bpe.h"
#include "kinetok/text/char_level.h"
#include "kinetok/text/json_fields.h"
#include "kinetok/text/post_processor.h"
#include "kinetok/text/tokenizer_parts.h"
#include "kinetok/text/word_piece.h"

namespace kinetok {
namespace {

Bpe::Merges ReadMerges(const JsonObject& model) {
  Bpe::Merges merges;
  const Json& list = model.Array("merges");
  merges.reserve(list.size());
  for (const Json& merge : list) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges.emplace_back(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>());
      continue;
    }
    if (merge.is_string()) {
      const std::string& text = merge.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
        merges.emplace_back(text.substr(0, space), text.substr(space + 1));
        continue;
      }
    }
    Fail("{}: field \"merges\": entry {} is {}, expected \"a b\" or [\"a\", \"b\"]", model.source(), merges.size(),
         Shorten(merge));
  }
  return merges;
}

std::unique_ptr<const TokenizerModel> ReadBpe(const JsonObject& model, PreTokenizer& pre_tokenizer) {
  AllowFields(model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                      "byte_fallback", "ignore_merges", "vocab", "merges"});
  RequireValue(model, "dropout", 0.0);
  BpeOptions options;
  options.byte_level = pre_tokenizer.byte_level();
  options.ignore_merges = model.Bool("ignore_merges", false);
  options.fuse_unk = model.Bool("fuse_unk", false);
  options.unk_token = model.String("unk_token", "");
  if (options.byte_level) {
    RequireValue(model, "continuing_subword_prefix", "");
    RequireValue(model, "end_of_word_suffix", "");
    RequireValue(model, "byte_fallback", false);
  } else {
    options.prefix = model.String("continuing_subword_prefix", "");
    options.suffix = model.String("end_of_word_suffix", "");
    options.byte_fallback = model.Bool("byte_fallback", false);
  }
  auto bpe = std::make_unique<Bpe>(ReadVocabulary(model.Object("vocab").json(), model.source() + ": vocab"),
                                   ReadMerges(model), options, model.source());
  if (options.byte_level && model.Has("unk_token") && !bpe->HasAllBytes()) {
    Fail("{}: field \"unk_token\" is {}, but the vocabulary lacks some bytes; a byte-level model has all 256",
         model.source(), Shorten(model.json().at("unk_token")));
  }
  CutWherePossible(*bpe, pre_tokenizer);
  return bpe;
}

std::unique_ptr<const TokenizerModel> ReadWordPiece(const JsonObject& model, const PreTokenizer& pre_tokenizer) {
  AllowFields(model, {"type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"});
  if (pre_tokenizer.byte_level()) Fail("{}: ByteLevel with a WordPiece model is not supported", model.source());
  WordPieceOptions options;
  options.unk_token = model.String("unk_token", options.unk_token);
  options.prefix = model.String("continuing_subword_prefix", options.prefix);
  options.max_characters = static_cast<size_t>(
      model.Int("max_input_chars_per_word", 0, 1 << 20, static_cast<int64_t>(options.max_characters)));
  return std::make_unique<WordPiece>(ReadVocabulary(model.Object("vocab").json(), model.source() + ": vocab"), options,
                                     model.source());
}

// A WordLevel model is read when its words are characters.
std::unique_ptr<const TokenizerModel> ReadCharLevel(const JsonObject& root, const JsonObject& model) {
  AllowFields(model, {"type", "vocab", "unk_token"});
  if (!root.Has("pre_tokenizer")) {
    Fail("{}: a WordLevel model without a \"pre_tokenizer\" is not supported", root.source());
  }
  const JsonObject split = root.Object("pre_tokenizer");
  if (split.String("type") != "Split") RefuseType(split, "a WordLevel model needs a Split into characters");
  AllowFields(split, {"type", "pattern", "behavior", "invert"});
  const Pattern pattern = ReadPattern(split);
  if (!IsCharacterPattern(pattern.regex)) {
    Fail("{}: pattern: field \"Regex\" is \"{}\"; only a Split into characters, \"[\\s\\S]\", is supported",
         split.source(), pattern.regex);
  }
  RequireValue(split, "behavior", "Isolated");
  RequireValue(split, "invert", false);
  return std::make_unique<CharLevel>(ReadVocabulary(model.Object("vocab").json(), model.source() + ": vocab"),
                                     model.String("unk_token"));
}

// The model, and the pre-tokenizer that cuts its words.
void ReadModel(const JsonObject& root, TokenizerParts& parts) {
  const JsonObject model = root.Object("model");
  // Files of the first releases have no type; the merges tell.
  const std::string type = model.Has("type") || !model.Has("merges") ? model.String("type") : "BPE";
  if (type == "WordLevel") {
    parts.model = ReadCharLevel(root, model);
    parts.pre_tokenizer.Keep(root.json().at("pre_tokenizer"));
    return;
  }
  if (root.Has("pre_tokenizer")) {
    parts.pre_tokenizer = PreTokenizer(root.json().at("pre_tokenizer"), root.source() + ": pre_tokenizer");
  }
  if (parts.pre_tokenizer.prepends_to_start() && parts.normalizer.MayDropTheStart()) {
    Fail(
        "{}: pre_tokenizer: field \"prepend_scheme\" is \"first\", which is not supported after a normalizer that may "
        "drop the start of a text",
        root.source());
  }
  if (type == "BPE") {
    parts.model = ReadBpe(model, parts.pre_tokenizer);
  } else if (type == "WordPiece") {
    parts.model = ReadWordPiece(model, parts.pre_tokenizer);
  } else {
    RefuseType(model, "BPE, WordPiece and WordLevel are");
  }
}

void ReadAddedTokens(const JsonObject& root, TokenizerParts& parts) {
  if (!root.Has("added_tokens")) return;
  const Json& list = root.Array("added_tokens");
  std::vector<AddedToken> tokens;
  tokens.reserve(list.size());
  for (const Json& entry : list) {
    tokens.push_back(ReadAddedToken({entry, fmt::format("{}: added_tokens: entry {}", root.source(), tokens.size())}));
  }
  for (const AddedToken& token : tokens) {
    const int64_t pieces = int64_t{parts.model->vocabulary().count()} + static_cast<int64_t>(tokens.size());
    AddToken(parts, token, pieces, root.source());
  }
}

}  // namespace

Vocabulary ReadVocabulary(const Json& json, const std::string& source) {
  // In the order of ids, so that holes are measured against the pieces before them.
  std::vector<std::pair<int64_t, const std::string*>> pieces;
  pieces.reserve(json.size());
  for (auto it = json.begin(); it != json.end(); ++it) {
    if (!it->is_number_integer() || *it < 0 || *it > kMaxTokenId) {
      Fail("{}: piece \"{}\" has id {}, expected a whole number from 0 to {}", source, it.key(), Shorten(*it),
           kMaxTokenId);
    }
    pieces.emplace_back(it->get<int64_t>(), &it.key());
  }
  std::ranges::sort(pieces, {},
                    [](const auto& piece) { return std::pair(piece.first, std::string_view(*piece.second)); });
  Vocabulary vocabulary;
  for (const auto& [id, piece] : pieces) vocabulary.Add(*piece, id, source);
  return vocabulary;
}

OrderedJson DescribeVocabulary(const Vocabulary& vocabulary) {
  OrderedJson::object_t pieces;
  // ordered_map's own insertion searches the whole map for the key.
  std::vector<OrderedJson::object_t::value_type>& entries = pieces;
  entries.reserve(static_cast<size_t>(vocabulary.count()));
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.Has(id)) entries.emplace_back(vocabulary.Piece(id), id);
  }
  return pieces;
}

AddedToken ReadAddedToken(const JsonObject& token) {
  AllowFields(token, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  const bool special = token.Bool("special", false);
  return {.content = token.String("content"),
          .id = static_cast<int32_t>(token.Int("id", 0, kMaxTokenId)),
          .special = special,
          .normalized = token.Bool("normalized", !special),
          .lstrip = token.Bool("lstrip", false),
          .rstrip = token.Bool("rstrip", false),
          .single_word = token.Bool("single_word", false)};
}

void AddToken(TokenizerParts& parts, const AddedToken& token, int64_t pieces, std::string_view source) {
  const Vocabulary& vocabulary = parts.model->vocabulary();
  const auto known = vocabulary.Find(token.content);
  if (known && *known != token.id) {
    Fail("{}: added token \"{}\" has id {}, but its id in the vocabulary is {}", source, token.content, token.id,
         *known);
  }
  if (!known && vocabulary.Has(token.id)) {
    Fail("{}: added token \"{}\" has the id {} of the piece \"{}\"", source, token.content, token.id,
         vocabulary.Piece(token.id));
  }
  if (token.id > pieces + kMaxIdHoles) {
    Fail("{}: added token \"{}\" has id {}, but there are only {} pieces; at most {} ids may be unused", source,
         token.content, token.id, pieces, kMaxIdHoles);
  }
  parts.added.AddAs(token, token.normalized ? parts.normalizer.Apply(token.content) : token.content, source);
}

TokenizerParts ReadTokenizerJson(const Json& json, const std::string& source) {
  const JsonObject root(json, source);
  AllowFields(root, {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                     "post_processor", "decoder", "model"});
  TokenizerParts parts;
  if (root.Has("normalizer")) parts.normalizer = Normalizer(json.at("normalizer"), source + ": normalizer");
  ReadModel(root, parts);
  if (root.Has("decoder")) parts.decoder = TextDecoder(json.at("decoder"), source + ": decoder");
  ReadAddedTokens(root, parts);
  if (root.Has("post_processor")) ReadPostProcessor(root.Object("post_processor"), parts);
  return parts;
}

OrderedJson DescribeTokenizer(const TokenizerParts& parts) {
  OrderedJson json = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  std::vector<AddedToken> added = parts.added.tokens();
  std::ranges::sort(added, {}, &AddedToken::id);
  json["added_tokens"] = OrderedJson::array();
  for (const AddedToken& token : added) {
    json["added_tokens"].push_back({{"id", token.id},
                                    {"content", token.content},
                                    {"single_word", token.single_word},
                                    {"lstrip", token.lstrip},
                                    {"rstrip", token.rstrip},
                                    {"normalized", token.normalized},
                                    {"special", token.special}});
  }
  json["normalizer"] = Canonical(parts.normalizer.json());
  json["pre_tokenizer"] = Canonical(parts.pre_tokenizer.json());
  json["post_processor"] = DescribePostProcessor(parts);
  json["decoder"] = Canonical(parts.decoder.json());
  json["model"] = parts.model->Describe();
  return json;
}

}  // namespace kinetok
