// Reading and writing Hugging Face's tokenizer.json. What is not understood is refused by name: a field that was
// skipped could change the ids.
#include <algorithm>
#include <initializer_list>

#include "kinetok/base/error.h"
#include "kinetok/text/byte_level_bpe.h"
#include "kinetok/text/char_level.h"
#include "kinetok/text/tokenizer_parts.h"

namespace kinetok {
namespace {

using Names = std::initializer_list<std::string_view>;

void AllowFields(const JsonObject& object, Names names) {
  for (const auto& [key, value] : object.json().items()) {
    if (std::ranges::find(names, key) == names.end()) {
      Fail("{}: field \"{}\" ({}) is not supported", object.source(), key, Shorten(value));
    }
  }
}

// Fields that must be absent, null or equal to `value`.
void RequireValue(const JsonObject& object, std::string_view key, const Json& value) {
  if (object.Has(key) && object.json().at(std::string(key)) != value) {
    Fail("{}: field \"{}\" is {}; only {} is supported here", object.source(), key,
         Shorten(object.json().at(std::string(key))), Shorten(value));
  }
}

[[noreturn]] void RefuseType(const JsonObject& object, std::string_view supported) {
  Fail("{}: type \"{}\" is not supported ({})", object.source(), object.String("type"), supported);
}

std::string TypeOf(const JsonObject& root, std::string_view key) {
  return root.Has(key) ? root.Object(key).String("type") : "";
}

ByteLevelBpe::Merges ReadMerges(const JsonObject& model) {
  ByteLevelBpe::Merges merges;
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

std::unique_ptr<const TokenizerModel> ReadByteLevelBpe(const JsonObject& root, const JsonObject& model) {
  AllowFields(model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                      "byte_fallback", "ignore_merges", "vocab", "merges"});
  RequireValue(model, "dropout", 0.0);
  RequireValue(model, "continuing_subword_prefix", "");
  RequireValue(model, "end_of_word_suffix", "");
  RequireValue(model, "byte_fallback", false);
  model.Bool("fuse_unk", false);

  if (TypeOf(root, "pre_tokenizer") != "ByteLevel") {
    if (!root.Has("pre_tokenizer")) Fail("{}: a BPE model without a \"pre_tokenizer\" is not supported", root.source());
    RefuseType(root.Object("pre_tokenizer"), "a BPE model needs ByteLevel");
  }
  const JsonObject pre = root.Object("pre_tokenizer");
  AllowFields(pre, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
  pre.Bool("trim_offsets", true);  // where pieces lie in the text, not which they are
  const ByteLevelOptions options = {.add_prefix_space = pre.Bool("add_prefix_space", true),
                                    .use_regex = pre.Bool("use_regex", true),
                                    .ignore_merges = model.Bool("ignore_merges", false)};
  const JsonObject decoder = root.Object("decoder");
  if (decoder.String("type") != "ByteLevel") RefuseType(decoder, "a byte-level model needs ByteLevel");

  auto bpe = std::make_unique<ByteLevelBpe>(ReadVocabulary(model.Object("vocab").json(), model.source() + ": vocab"),
                                            ReadMerges(model), options, model.source());
  if (model.Has("unk_token") && !bpe->HasAllBytes()) {
    Fail("{}: field \"unk_token\" is {}, but the vocabulary lacks some bytes; a byte-level model has all 256",
         model.source(), Shorten(model.json().at("unk_token")));
  }
  return bpe;
}

std::unique_ptr<const TokenizerModel> ReadCharLevel(const JsonObject& root, const JsonObject& model) {
  AllowFields(model, {"type", "vocab", "unk_token"});
  if (!root.Has("pre_tokenizer"))
    Fail("{}: a WordLevel model without a \"pre_tokenizer\" is not supported", root.source());
  const JsonObject split = root.Object("pre_tokenizer");
  if (split.String("type") != "Split") RefuseType(split, "a WordLevel model needs a Split into characters");
  AllowFields(split, {"type", "pattern", "behavior", "invert"});
  const JsonObject pattern = split.Object("pattern");
  const std::string regex = pattern.String("Regex");
  const Names characters = {"[\\s\\S]", "[\\S\\s]", "(?m:.)", "(?s:.)"};
  if (std::ranges::find(characters, regex) == characters.end()) {
    Fail("{}: field \"Regex\" is \"{}\"; only a Split into characters, \"[\\s\\S]\", is supported", pattern.source(),
         regex);
  }
  RequireValue(split, "behavior", "Isolated");
  RequireValue(split, "invert", false);
  const JsonObject decoder = root.Object("decoder");
  if (decoder.String("type") != "Fuse") RefuseType(decoder, "a character-level model needs Fuse");
  AllowFields(decoder, {"type"});
  return std::make_unique<CharLevel>(ReadVocabulary(model.Object("vocab").json(), model.source() + ": vocab"),
                                     model.String("unk_token"));
}

std::unique_ptr<const TokenizerModel> ReadModel(const JsonObject& root) {
  const JsonObject model = root.Object("model");
  // Files of the first releases have no type; the merges tell.
  const std::string type = model.Has("type") || !model.Has("merges") ? model.String("type") : "BPE";
  if (type == "BPE") return ReadByteLevelBpe(root, model);
  if (type == "WordLevel") return ReadCharLevel(root, model);
  RefuseType(model, "BPE and WordLevel are");
}

AddedTokens ReadAddedTokens(const JsonObject& root, const Vocabulary& vocabulary) {
  AddedTokens added;
  if (!root.Has("added_tokens")) return added;
  const Json& list = root.Array("added_tokens");
  std::vector<AddedToken> tokens;
  for (const Json& entry : list) {
    const JsonObject token(entry, fmt::format("{}: added_tokens: entry {}", root.source(), tokens.size()));
    AllowFields(token, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    RequireValue(token, "single_word", false);
    const bool special = token.Bool("special", false);
    tokens.push_back({.content = token.String("content"),
                      .id = static_cast<int32_t>(token.Int("id", 0, kMaxTokenId)),
                      .special = special,
                      .normalized = token.Bool("normalized", !special),
                      .lstrip = token.Bool("lstrip", false),
                      .rstrip = token.Bool("rstrip", false)});
  }
  for (AddedToken& token : tokens) {
    const auto known = vocabulary.Find(token.content);
    if (known && *known != token.id) {
      Fail("{}: added token \"{}\" has id {}, but its id in the vocabulary is {}", root.source(), token.content,
           token.id, *known);
    }
    if (!known && vocabulary.Has(token.id)) {
      Fail("{}: added token \"{}\" has the id {} of the piece \"{}\"", root.source(), token.content, token.id,
           vocabulary.Piece(token.id));
    }
    const int64_t pieces = int64_t{vocabulary.count()} + static_cast<int64_t>(tokens.size());
    if (token.id > pieces + kMaxIdHoles) {
      Fail("{}: added token \"{}\" has id {}, but there are only {} pieces; at most {} ids may be unused",
           root.source(), token.content, token.id, pieces, kMaxIdHoles);
    }
    added.Add(std::move(token), root.source());
  }
  return added;
}

// {"single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"<s>": {"ids": [1]}}}
void ReadTemplate(const JsonObject& processor, TokenizerParts& parts) {
  AllowFields(processor, {"type", "single", "pair", "special_tokens"});
  const JsonObject tokens = processor.Object("special_tokens");
  int texts = 0;
  for (const Json& entry : processor.Array("single")) {
    const JsonObject item(entry, processor.source() + ": single");
    AllowFields(item, {"SpecialToken", "Sequence"});
    if (item.Has("Sequence")) {
      RequireValue(item.Object("Sequence"), "id", "A");
      ++texts;
      continue;
    }
    const JsonObject token = tokens.Object(item.Object("SpecialToken").String("id"));
    for (const Json& id : token.Array("ids")) {
      const bool known = id.is_number_integer() && id >= 0 && id <= kMaxTokenId &&
                         (parts.model->vocabulary().Has(id.get<int32_t>()) || parts.added.Find(id.get<int32_t>()));
      if (!known) Fail("{}: \"ids\" holds {}, expected an id of the vocabulary", token.source(), Shorten(id));
      (texts == 0 ? parts.before : parts.after).push_back(id.get<int32_t>());
    }
  }
  if (texts != 1) Fail("{}: field \"single\" has the sequence A {} times, expected once", processor.source(), texts);
}

void ReadPostProcessor(const JsonObject& processor, TokenizerParts& parts, bool nested = false) {
  const std::string type = processor.String("type");
  if (type == "ByteLevel") return;  // trims offsets
  if (type == "TemplateProcessing" && parts.before.empty() && parts.after.empty()) {
    ReadTemplate(processor, parts);
  } else if (type == "Sequence" && !nested) {
    AllowFields(processor, {"type", "processors"});
    for (const Json& entry : processor.Array("processors")) {
      ReadPostProcessor(JsonObject(entry, processor.source() + ": processors"), parts, true);
    }
  } else {
    RefuseType(processor, "ByteLevel and one TemplateProcessing are");
  }
}

OrderedJson DescribeTemplate(const TokenizerParts& parts, const std::vector<std::string>& before,
                             const std::vector<std::string>& after) {
  const auto sequence = [](const char* name, int type) {
    return OrderedJson{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  OrderedJson single = OrderedJson::array(), tokens = OrderedJson::object();
  const auto add = [&](const std::vector<int32_t>& ids, const std::vector<std::string>& pieces) {
    for (size_t i = 0; i < ids.size(); ++i) {
      single.push_back({{"SpecialToken", {{"id", pieces[i]}, {"type_id", 0}}}});
      tokens[pieces[i]] = {
          {"id", pieces[i]}, {"ids", OrderedJson::array({ids[i]})}, {"tokens", OrderedJson::array({pieces[i]})}};
    }
  };
  add(parts.before, before);
  single.push_back(sequence("A", 0));
  add(parts.after, after);
  OrderedJson pair = single;
  pair.push_back(sequence("B", 1));
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
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

TokenizerParts ReadTokenizerJson(const Json& json, const std::string& source) {
  const JsonObject root(json, source);
  AllowFields(root, {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                     "post_processor", "decoder", "model"});
  TokenizerParts parts;
  parts.model = ReadModel(root);
  if (root.Has("normalizer")) RefuseType(root.Object("normalizer"), "no normalizer is, with this model");
  parts.added = ReadAddedTokens(root, parts.model->vocabulary());
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
                                    {"single_word", false},
                                    {"lstrip", token.lstrip},
                                    {"rstrip", token.rstrip},
                                    {"normalized", token.normalized},
                                    {"special", token.special}});
  }
  OrderedJson model;
  parts.model->Describe(model);
  json["normalizer"] = model.at("normalizer");
  json["pre_tokenizer"] = model.at("pre_tokenizer");
  if (parts.before.empty() && parts.after.empty()) {
    json["post_processor"] = nullptr;
  } else {
    const auto names = [&](const std::vector<int32_t>& ids) {
      std::vector<std::string> pieces;
      for (const int32_t id : ids) {
        const AddedToken* token = parts.added.Find(id);
        pieces.push_back(token != nullptr ? token->content : parts.model->vocabulary().Piece(id));
      }
      return pieces;
    };
    json["post_processor"] = DescribeTemplate(parts, names(parts.before), names(parts.after));
  }
  json["decoder"] = model.at("decoder");
  json["model"] = std::move(model["model"]);
  return json;
}

}  // namespace kinetok
