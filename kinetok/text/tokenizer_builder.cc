#include "kinetok/text/tokenizer_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "kinetok/base/error.h"
#include "kinetok/text/sentencepiece_bpe.h"
#include "kinetok/text/tokenizer_kinds.h"
#include "kinetok/text/word_piece.h"

namespace kinetok {
namespace {

std::shared_ptr<const Tokenizer> Make(TokenizerParts parts) {
  NameOthers(parts);
  return std::make_shared<const Tokenizer>(std::make_unique<const TokenizerParts>(std::move(parts)));
}

// Whether two tokenizers do the same around their models.
bool SamePipeline(const TokenizerParts& a, const TokenizerParts& b) {
  return a.normalizer.json() == b.normalizer.json() && a.pre_tokenizer.json() == b.pre_tokenizer.json() &&
         a.decoder.json() == b.decoder.json() && a.before == b.before && a.after == b.after;
}

// Only special tokens and user-defined ones whose flags these vocabularies can say.
bool HasPlainAddedTokens(const TokenizerParts& parts) {
  return std::ranges::none_of(parts.added.tokens(), [](const AddedToken& token) {
    return token.normalized || token.lstrip || token.rstrip || token.single_word;
  });
}

// The piece of every id up to the largest; an id without one has a name that no text becomes.
std::vector<std::string> PiecesOf(const Tokenizer& tokenizer) {
  std::vector<std::string> pieces;
  pieces.reserve(static_cast<size_t>(tokenizer.vocab_size()));
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    pieces.push_back(tokenizer.Has(id) ? std::string(tokenizer.Piece(id)) : fmt::format("[unused{}]", id));
  }
  return pieces;
}

bool IsAround(const std::vector<int32_t>& ids, std::optional<int32_t> id) {
  return id && ids == std::vector{*id};
}

PieceType TypeOf(const TokenizerParts& parts, int32_t id, const std::string& piece, bool byte_fallback) {
  if (const AddedToken* added = parts.added.Find(id)) {
    if (parts.special.unk == id) return PieceType::kUnknown;
    return added->special ? PieceType::kControl : PieceType::kUserDefined;
  }
  if (!parts.model->vocabulary().Has(id)) return PieceType::kUnused;
  const bool is_byte = byte_fallback && piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>');
  return is_byte ? PieceType::kByte : PieceType::kNormal;
}

}  // namespace

std::shared_ptr<const Tokenizer> MakeSentencePieceTokenizer(const SentencePieceVocabulary& vocabulary,
                                                            std::string_view source) {
  return Make(SentencePieceParts(vocabulary, source));
}

std::shared_ptr<const Tokenizer> MakeByteLevelBpeTokenizer(const ByteLevelVocabulary& vocabulary,
                                                           std::string_view source) {
  return Make(ByteLevelParts(vocabulary, source));
}

std::shared_ptr<const Tokenizer> MakeWordPieceTokenizer(const WordPieceVocabulary& vocabulary,
                                                        std::string_view source) {
  return Make(WordPieceParts(vocabulary, source));
}

std::optional<SentencePieceVocabulary> SentencePieceVocabularyOf(const Tokenizer& tokenizer) {
  const TokenizerParts& parts = tokenizer.parts();
  const auto* native = dynamic_cast<const SentencePieceBpe*>(parts.model.get());
  const auto* bpe = dynamic_cast<const Bpe*>(parts.model.get());
  const bool fits = native != nullptr ||
                    (bpe != nullptr && !bpe->options().byte_level && bpe->options().fuse_unk &&
                     !bpe->options().ignore_merges && bpe->options().prefix.empty() && bpe->options().suffix.empty());
  if (!fits || !HasPlainAddedTokens(parts)) return std::nullopt;

  SentencePieceVocabulary vocabulary;
  vocabulary.ids = parts.special;
  vocabulary.add_bos = IsAround(parts.before, parts.special.bos);
  vocabulary.add_eos = IsAround(parts.after, parts.special.eos);
  for (const std::string& piece : PiecesOf(tokenizer)) {
    const auto id = static_cast<int32_t>(vocabulary.pieces.size());
    if (native != nullptr && id < native->vocabulary().size()) {
      vocabulary.pieces.push_back(native->pieces()[static_cast<size_t>(id)]);
    } else {
      const bool byte_fallback = bpe != nullptr && bpe->options().byte_fallback;
      vocabulary.pieces.push_back({.text = piece, .type = TypeOf(parts, id, piece, byte_fallback)});
    }
  }
  if (bpe != nullptr) {  // the earlier a piece is merged, the better its score
    std::vector<bool> scored(vocabulary.pieces.size());
    float score = 0;
    for (const auto& [left, right] : bpe->merges()) {
      const auto id = static_cast<size_t>(*bpe->vocabulary().Find(left + right));
      if (!scored[id]) vocabulary.pieces[id].score = score--;
      scored[id] = true;
    }
  }
  // Of the ways to treat spaces, the one that this tokenizer has.
  for (const auto& [dummy_prefix, after_special] : {std::pair(true, true), {true, false}, {false, true}}) {
    vocabulary.add_dummy_prefix = dummy_prefix;
    vocabulary.prefix_after_special = after_special;
    if (SamePipeline(parts, SentencePieceFrame(vocabulary, "the tokenizer"))) return vocabulary;
  }
  return std::nullopt;
}

std::optional<ByteLevelVocabulary> ByteLevelVocabularyOf(const Tokenizer& tokenizer) {
  const TokenizerParts& parts = tokenizer.parts();
  const auto* bpe = dynamic_cast<const Bpe*>(parts.model.get());
  if (bpe == nullptr || !bpe->options().byte_level || bpe->options().ignore_merges || !HasPlainAddedTokens(parts)) {
    return std::nullopt;
  }
  ByteLevelVocabulary vocabulary;
  vocabulary.pieces = PiecesOf(tokenizer);
  vocabulary.merges = bpe->merges();
  for (const AddedToken& token : parts.added.tokens()) {
    (token.special ? vocabulary.special : vocabulary.user_defined).push_back(token.id);
  }
  vocabulary.ids = parts.special;
  vocabulary.add_bos = IsAround(parts.before, parts.special.bos);
  vocabulary.add_eos = IsAround(parts.after, parts.special.eos);
  const std::optional<bool> add_prefix_space = parts.pre_tokenizer.Gpt2PrefixSpace();
  const bool around =
      parts.before.size() == (vocabulary.add_bos ? 1U : 0U) && parts.after.size() == (vocabulary.add_eos ? 1U : 0U);
  const Json& decoder = parts.decoder.json();
  if (!add_prefix_space || !parts.normalizer.empty() || !around || !decoder.is_object() ||
      decoder["type"] != "ByteLevel") {
    return std::nullopt;
  }
  vocabulary.add_prefix_space = *add_prefix_space;
  return vocabulary;
}

std::optional<WordPieceVocabulary> WordPieceVocabularyOf(const Tokenizer& tokenizer) {
  const TokenizerParts& parts = tokenizer.parts();
  const auto* model = dynamic_cast<const WordPiece*>(parts.model.get());
  const WordPieceOptions usual;
  if (model == nullptr || model->options().prefix != usual.prefix ||
      model->options().max_characters != usual.max_characters || !HasPlainAddedTokens(parts)) {
    return std::nullopt;
  }
  WordPieceVocabulary vocabulary;
  vocabulary.pieces = PiecesOf(tokenizer);
  vocabulary.ids = parts.special;
  const Json& normalizer = parts.normalizer.json();
  const auto flag = [&](const char* key) {
    const bool given = normalizer.is_object() && normalizer.contains(key) && normalizer[key].is_boolean();
    return given ? std::optional(normalizer[key].get<bool>()) : std::nullopt;
  };
  vocabulary.lower_case = flag("lowercase").value_or(true);
  vocabulary.strip_accents = flag("strip_accents");
  vocabulary.chinese_characters = flag("handle_chinese_chars").value_or(true);
  if (!SamePipeline(parts, WordPieceParts(vocabulary, "the tokenizer"))) return std::nullopt;
  return vocabulary;
}

}  // namespace kinetok
