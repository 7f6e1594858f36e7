#include "kinetok/text/tokenizer_kinds.h"

#include <string>

#include "kinetok/base/error.h"
#include "kinetok/text/sentencepiece_bpe.h"
#include "kinetok/text/utf8.h"
#include "kinetok/text/word_piece.h"

namespace kinetok {
namespace {

void SetBertWords(TokenizerParts& parts, const WordPieceVocabulary& v, std::string_view source) {
  parts.normalizer = Normalizer({{"type", "BertNormalizer"},
                                 {"clean_text", true},
                                 {"handle_chinese_chars", v.chinese_characters},
                                 {"strip_accents", v.strip_accents ? Json(*v.strip_accents) : Json()},
                                 {"lowercase", v.lower_case}},
                                std::string(source));
  parts.pre_tokenizer = PreTokenizer({{"type", "BertPreTokenizer"}}, std::string(source));
}

Vocabulary MakeVocabulary(const std::vector<std::string>& pieces, std::string_view source) {
  Vocabulary vocabulary;
  for (const std::string& piece : pieces) {
    RequireUtf8(piece, fmt::format("{}: the piece with id {}", source, vocabulary.size()));
    vocabulary.Add(piece, vocabulary.size(), source);
  }
  return vocabulary;
}

void RequireIds(const SpecialIds& ids, const Vocabulary& vocabulary, std::string_view source) {
  for (const auto& [name, id] : {std::pair("bos", ids.bos),
                                 {"eos", ids.eos},
                                 {"unk", ids.unk},
                                 {"pad", ids.pad},
                                 {"cls", ids.cls},
                                 {"sep", ids.sep},
                                 {"mask", ids.mask}}) {
    if (id && !vocabulary.Has(*id)) {
      Fail("{}: the {} token has id {}, which the vocabulary of {} pieces lacks", source, name, *id,
           vocabulary.count());
    }
  }
}

}  // namespace

void AddPieceAsToken(TokenizerParts& parts, int32_t id, bool special, std::string_view source) {
  if (parts.added.Find(id) != nullptr) return;
  parts.added.Add({.content = parts.model->vocabulary().Piece(id), .id = id, .special = special}, source);
}

void PutAround(TokenizerParts& parts, std::optional<int32_t> before, std::optional<int32_t> after) {
  if (before) parts.before = {*before};
  if (after) parts.after = {*after};
}

// Spaces become "▁", and one is put before each stretch of text, or before the first one alone.
TokenizerParts SentencePieceFrame(const SentencePieceVocabulary& vocabulary, std::string_view source) {
  TokenizerParts parts;
  const std::string space(kMetaspace);
  if (vocabulary.add_dummy_prefix && !vocabulary.prefix_after_special) {
    const Json json = {{"type", "Metaspace"}, {"replacement", space}, {"prepend_scheme", "first"}, {"split", false}};
    parts.pre_tokenizer = PreTokenizer(json, std::string(source));
  } else {
    Json steps = Json::array();
    if (vocabulary.add_dummy_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", space}});
    steps.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", space}});
    parts.normalizer = Normalizer({{"type", "Sequence"}, {"normalizers", steps}}, std::string(source));
  }
  Json steps = {{{"type", "Replace"}, {"pattern", {{"String", space}}}, {"content", " "}},
                {{"type", "ByteFallback"}},
                {{"type", "Fuse"}}};
  if (vocabulary.add_dummy_prefix) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  parts.decoder = TextDecoder({{"type", "Sequence"}, {"decoders", steps}}, std::string(source));
  PutAround(parts, vocabulary.add_bos ? vocabulary.ids.bos : std::nullopt,
            vocabulary.add_eos ? vocabulary.ids.eos : std::nullopt);
  return parts;
}

TokenizerParts SentencePieceParts(const SentencePieceVocabulary& vocabulary, std::string_view source) {
  if (vocabulary.remove_extra_whitespaces) {
    Fail("{}: remove_extra_whitespaces is true; only false is supported", source);
  }
  std::optional<int32_t> unk = vocabulary.ids.unk;
  for (size_t id = 0; id < vocabulary.pieces.size() && !unk; ++id) {
    if (vocabulary.pieces[id].type == PieceType::kUnknown) unk = static_cast<int32_t>(id);
  }
  TokenizerParts parts = SentencePieceFrame(vocabulary, source);
  auto model = std::make_unique<SentencePieceBpe>(vocabulary.pieces, unk, source);
  RequireIds(vocabulary.ids, model->vocabulary(), source);
  CutWherePossible(*model, parts.pre_tokenizer);
  parts.model = std::move(model);
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    const PieceType type = vocabulary.pieces[i].type;
    const bool special = type == PieceType::kControl || type == PieceType::kUnknown;
    if (special || type == PieceType::kUserDefined) {
      AddPieceAsToken(parts, static_cast<int32_t>(i), special, source);
    }
  }
  parts.special = vocabulary.ids;
  parts.special.unk = unk;
  return parts;
}

TokenizerParts Gpt2Parts(Vocabulary vocabulary, const Bpe::Merges& merges, bool add_prefix_space,
                         std::string_view merges_source) {
  const std::string source(merges_source);
  TokenizerParts parts;
  parts.pre_tokenizer = PreTokenizer(
      {{"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}, {"use_regex", true}},
      source);
  parts.decoder = TextDecoder(
      {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}}, source);
  parts.model = std::make_unique<Bpe>(std::move(vocabulary), merges, BpeOptions{.byte_level = true}, source);
  return parts;
}

TokenizerParts Gpt1Parts(Vocabulary vocabulary, const Bpe::Merges& merges, std::string_view merges_source) {
  const std::string source(merges_source);
  TokenizerParts parts;
  SetBertWords(parts, {}, source);
  parts.decoder = TextDecoder({{"type", "BPEDecoder"}, {"suffix", kEndOfWord}}, source);
  parts.model = std::make_unique<Bpe>(std::move(vocabulary), merges,
                                      BpeOptions{.unk_token = "<unk>", .suffix = std::string(kEndOfWord)}, source);
  parts.special.unk = parts.model->unk_id();
  AddPieceAsToken(parts, *parts.special.unk, true, source);
  return parts;
}

TokenizerParts ByteLevelParts(const ByteLevelVocabulary& vocabulary, std::string_view source) {
  TokenizerParts parts =
      Gpt2Parts(MakeVocabulary(vocabulary.pieces, source), vocabulary.merges, vocabulary.add_prefix_space, source);
  RequireIds(vocabulary.ids, parts.model->vocabulary(), source);
  for (const auto& [ids, special] : {std::pair(&vocabulary.special, true), {&vocabulary.user_defined, false}}) {
    for (const int32_t id : *ids) {
      if (!parts.model->vocabulary().Has(id)) {
        Fail("{}: the token {} is marked as {}, but the vocabulary of {} pieces lacks it", source, id,
             special ? "special" : "user-defined", parts.model->vocabulary().count());
      }
      AddPieceAsToken(parts, id, special, source);
    }
  }
  parts.special = vocabulary.ids;
  PutAround(parts, vocabulary.add_bos ? vocabulary.ids.bos : std::nullopt,
            vocabulary.add_eos ? vocabulary.ids.eos : std::nullopt);
  return parts;
}

TokenizerParts WordPieceParts(const WordPieceVocabulary& vocabulary, std::string_view source) {
  TokenizerParts parts;
  SetBertWords(parts, vocabulary, source);
  parts.decoder = TextDecoder({{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}, std::string(source));
  Vocabulary pieces = MakeVocabulary(vocabulary.pieces, source);
  RequireIds(vocabulary.ids, pieces, source);
  WordPieceOptions options;
  if (vocabulary.ids.unk) options.unk_token = pieces.Piece(*vocabulary.ids.unk);
  parts.model = std::make_unique<WordPiece>(std::move(pieces), options, source);
  parts.special = vocabulary.ids;
  NameOthers(parts);
  const SpecialIds& ids = parts.special;
  for (const auto& id : {ids.unk, ids.cls, ids.sep, ids.pad, ids.mask}) {
    if (id) AddPieceAsToken(parts, *id, true, source);
  }
  PutAround(parts, ids.cls, ids.sep);
  return parts;
}

}  // namespace kinetok
