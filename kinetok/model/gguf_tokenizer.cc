// llama.cpp's tokenizer.ggml.* fields as a Tokenizer and back.

#include <algorithm>
#include <optional>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/model/gguf_model.h"
#include "kinetok/text/tokenizer_builder.h"

namespace kinetok {
namespace {

constexpr std::string_view kSpace = "\u2581";  // what SentencePiece writes for a space
// Written only by us: llama.cpp puts the space in front after every special token, as Hugging Face's "legacy" does.
constexpr std::string_view kPrefixAfterSpecialKey = "kinetok.prefix_after_special";

std::string Key(std::string_view name) {
  return "tokenizer.ggml." + std::string(name);
}

std::string PaddingPiece(size_t id) {
  return fmt::format("[PAD{}]", id);
}

// The pieces with what else is known of each.
struct Tokens {
  std::vector<std::string> pieces;
  std::vector<PieceType> types;
};

Tokens ReadTokens(const GgufMetadata& metadata) {
  Tokens out;
  out.pieces = metadata.Strings(Key("tokens"));
  out.types.assign(out.pieces.size(), PieceType::kNormal);
  if (metadata.Has(Key("token_type"))) {
    const std::vector<int64_t> types = metadata.Ints(Key("token_type"), 1, 6);
    if (types.size() != out.pieces.size()) {
      Fail("{}: field \"{}\" has {} elements, expected one for each of the {} tokens", metadata.source(),
           Key("token_type"), types.size(), out.pieces.size());
    }
    std::ranges::transform(types, out.types.begin(), [](int64_t type) { return static_cast<PieceType>(type); });
  }
  // Pieces that only fill up the model's vocabulary are none.
  while (!out.pieces.empty() && out.types.back() == PieceType::kUnused &&
         out.pieces.back() == PaddingPiece(out.pieces.size() - 1)) {
    out.pieces.pop_back();
    out.types.pop_back();
  }
  return out;
}

std::optional<int32_t> ReadId(const GgufMetadata& metadata, std::string_view name, size_t count) {
  const std::string key = Key(std::string(name) + "_token_id");
  // 2^32 - 1 stands for none; ids of padding are none either.
  const int64_t id = metadata.Int(key, 0, UINT32_MAX, UINT32_MAX);
  return id < static_cast<int64_t>(count) ? std::optional(static_cast<int32_t>(id)) : std::nullopt;
}

SpecialIds ReadIds(const GgufMetadata& metadata, size_t count) {
  const auto id = [&](std::string_view name) { return ReadId(metadata, name, count); };
  SpecialIds ids;
  ids.bos = id("bos");
  ids.eos = id("eos");
  ids.unk = id("unknown");
  ids.pad = id("padding");
  ids.cls = id("cls");
  ids.sep = id("seperator");  // as the format spells it
  ids.mask = id("mask");
  return ids;
}

std::shared_ptr<const Tokenizer> ReadSentencePiece(const GgufMetadata& metadata) {
  Tokens tokens = ReadTokens(metadata);
  const std::vector<float> scores = metadata.Floats(Key("scores"));
  if (scores.size() < tokens.pieces.size()) {
    Fail("{}: field \"{}\" has {} elements, expected one for each of the {} tokens", metadata.source(), Key("scores"),
         scores.size(), tokens.pieces.size());
  }
  SentencePieceVocabulary v;
  for (size_t i = 0; i < tokens.pieces.size(); ++i) {
    v.pieces.push_back({std::move(tokens.pieces[i]), scores[i], tokens.types[i]});
  }
  v.ids = ReadIds(metadata, v.pieces.size());
  v.add_bos = metadata.Bool(Key("add_bos_token"), true);
  v.add_eos = metadata.Bool(Key("add_eos_token"), false);
  v.add_dummy_prefix = metadata.Bool(Key("add_space_prefix"), true);
  v.remove_extra_whitespaces = metadata.Bool(Key("remove_extra_whitespaces"), false);
  v.prefix_after_special = metadata.Bool(kPrefixAfterSpecialKey, true);
  return MakeSentencePieceTokenizer(v, metadata.source());
}

std::shared_ptr<const Tokenizer> ReadByteLevelBpe(const GgufMetadata& metadata) {
  // How a text is cut into words. Older files of GPT-2 do not say, or say "default".
  const std::string pre = metadata.String(Key("pre"), "default");
  const bool gpt2 = metadata.String("general.architecture", "") == "gpt2";
  if (pre != "gpt-2" && !(gpt2 && pre == "default")) {
    Fail("{}: field \"{}\" is \"{}\", which is not supported; expected \"gpt-2\"", metadata.source(), Key("pre"), pre);
  }
  Tokens tokens = ReadTokens(metadata);
  ByteLevelVocabulary v;
  for (size_t i = 0; i < tokens.types.size(); ++i) {
    if (tokens.types[i] == PieceType::kControl) v.special.push_back(static_cast<int32_t>(i));
    if (tokens.types[i] == PieceType::kUserDefined) v.user_defined.push_back(static_cast<int32_t>(i));
  }
  v.pieces = std::move(tokens.pieces);
  for (const std::string& merge : metadata.Strings(Key("merges"))) {
    const size_t space = merge.find(' ');
    if (space == std::string::npos || merge.find(' ', space + 1) != std::string::npos) {
      Fail("{}: field \"{}\" holds {}, expected two pieces with a space between them", metadata.source(), Key("merges"),
           QuoteName(merge));
    }
    v.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  v.ids = ReadIds(metadata, v.pieces.size());
  v.add_bos = metadata.Bool(Key("add_bos_token"), false);
  v.add_eos = metadata.Bool(Key("add_eos_token"), false);
  v.add_prefix_space = metadata.Bool(Key("add_space_prefix"), false);
  return MakeByteLevelBpeTokenizer(v, metadata.source());
}

// There the beginning of a word is marked, in BERT's vocabulary its continuation.
std::shared_ptr<const Tokenizer> ReadWordPiece(const GgufMetadata& metadata) {
  Tokens tokens = ReadTokens(metadata);
  WordPieceVocabulary v;
  for (size_t i = 0; i < tokens.pieces.size(); ++i) {
    std::string& piece = tokens.pieces[i];
    if (piece.starts_with(kSpace)) {
      piece.erase(0, kSpace.size());
    } else if (tokens.types[i] == PieceType::kNormal) {
      piece.insert(0, "##");
    }
  }
  v.ids = ReadIds(metadata, tokens.pieces.size());
  if (!v.ids.cls) v.ids.cls = v.ids.bos;
  if (!v.ids.sep) v.ids.sep = v.ids.eos;
  v.pieces = std::move(tokens.pieces);
  return MakeWordPieceTokenizer(v, metadata.source());
}

// What every kind writes: the pieces padded to the model's vocabulary, their types, the special ids.
void AddTokens(GgufFields& out, Tokens tokens, const SpecialIds& ids, const ModelConfig& config) {
  for (auto count = static_cast<int64_t>(tokens.pieces.size()); count < config.vocab_size; ++count) {
    tokens.pieces.push_back(PaddingPiece(static_cast<size_t>(count)));
    tokens.types.push_back(PieceType::kUnused);
  }
  std::vector<int32_t> types;
  types.reserve(tokens.types.size());
  for (const PieceType type : tokens.types) types.push_back(static_cast<int32_t>(type));
  out.emplace_back(Key("tokens"), std::move(tokens.pieces));
  out.emplace_back(Key("token_type"), std::move(types));
  const auto add = [&](const char* name, std::optional<int32_t> id) {
    if (id) out.emplace_back(Key(std::string(name) + "_token_id"), static_cast<uint32_t>(*id));
  };
  // The model's own ends go before the tokenizer's; GgufConfigFields wrote them.
  if (!config.bos_token_id) add("bos", ids.bos);
  if (config.eos_token_ids.empty()) add("eos", ids.eos);
  add("unknown", ids.unk);
  add("padding", ids.pad);
  add("cls", ids.cls);
  add("seperator", ids.sep);
  add("mask", ids.mask);
}

GgufFields SentencePieceFields(SentencePieceVocabulary v, const ModelConfig& config) {
  GgufFields out = {{Key("model"), std::string("llama")}, {Key("pre"), std::string("default")}};
  Tokens tokens;
  std::vector<float> scores;
  scores.reserve(v.pieces.size());
  for (SentencePiece& piece : v.pieces) {
    tokens.pieces.push_back(std::move(piece.text));
    tokens.types.push_back(piece.type);
    scores.push_back(piece.score);
  }
  scores.resize(std::max(scores.size(), static_cast<size_t>(config.vocab_size)), -10000.0f);  // as llama.cpp pads them
  AddTokens(out, std::move(tokens), v.ids, config);
  out.emplace_back(Key("scores"), std::move(scores));
  out.emplace_back(Key("add_bos_token"), v.add_bos);
  out.emplace_back(Key("add_eos_token"), v.add_eos);
  out.emplace_back(Key("add_space_prefix"), v.add_dummy_prefix);
  if (v.remove_extra_whitespaces) out.emplace_back(Key("remove_extra_whitespaces"), true);
  if (!v.prefix_after_special) out.emplace_back(std::string(kPrefixAfterSpecialKey), false);
  return out;
}

GgufFields ByteLevelFields(ByteLevelVocabulary v, const ModelConfig& config) {
  GgufFields out = {{Key("model"), std::string("gpt2")}, {Key("pre"), std::string("gpt-2")}};
  Tokens tokens;
  tokens.types.assign(v.pieces.size(), PieceType::kNormal);
  for (const int32_t id : v.special) tokens.types[static_cast<size_t>(id)] = PieceType::kControl;
  for (const int32_t id : v.user_defined) tokens.types[static_cast<size_t>(id)] = PieceType::kUserDefined;
  tokens.pieces = std::move(v.pieces);
  AddTokens(out, std::move(tokens), v.ids, config);
  std::vector<std::string> merges;
  merges.reserve(v.merges.size());
  for (const auto& [left, right] : v.merges) merges.push_back(fmt::format("{} {}", left, right));
  out.emplace_back(Key("merges"), std::move(merges));
  out.emplace_back(Key("add_bos_token"), v.add_bos);
  out.emplace_back(Key("add_eos_token"), v.add_eos);
  if (v.add_prefix_space) out.emplace_back(Key("add_space_prefix"), true);
  return out;
}

GgufFields WordPieceFields(WordPieceVocabulary v, const ModelConfig& config, std::string_view source) {
  if (!v.lower_case || !v.strip_accents.value_or(true) || !v.chinese_characters) {
    Fail("{}: its tokenizer keeps upper case, accents or Chinese words, which GGUF's \"bert\" tokenizer does not",
         source);
  }
  GgufFields out = {{Key("model"), std::string("bert")}, {Key("pre"), std::string("default")}};
  Tokens tokens;
  tokens.types.assign(v.pieces.size(), PieceType::kNormal);
  for (const auto& id : {v.ids.unk, v.ids.pad, v.ids.cls, v.ids.sep, v.ids.mask}) {
    if (id) tokens.types[static_cast<size_t>(*id)] = PieceType::kControl;
  }
  for (size_t i = 0; i < v.pieces.size(); ++i) {
    std::string& piece = v.pieces[i];
    if (tokens.types[i] == PieceType::kControl) continue;
    if (piece.starts_with("##")) {
      piece.erase(0, 2);
    } else {
      piece.insert(0, kSpace);
    }
  }
  tokens.pieces = std::move(v.pieces);
  AddTokens(out, std::move(tokens), v.ids, config);
  return out;
}

}  // namespace

std::shared_ptr<const Tokenizer> ReadGgufTokenizer(const GgufMetadata& metadata) {
  const std::string model = metadata.String(Key("model"), "no_vocab");
  if (model == "llama") return ReadSentencePiece(metadata);
  if (model == "gpt2") return ReadByteLevelBpe(metadata);
  if (model == "bert") return ReadWordPiece(metadata);
  if (model == "no_vocab") Fail("{}: carries no tokenizer", metadata.source());
  Fail("{}: field \"{}\" is \"{}\", which is not supported; expected llama, gpt2 or bert", metadata.source(),
       Key("model"), model);
}

GgufFields GgufTokenizerFields(const Tokenizer* tokenizer, const ModelConfig& config, std::string_view source) {
  if (tokenizer == nullptr) return {{Key("model"), std::string("no_vocab")}};
  if (auto v = SentencePieceVocabularyOf(*tokenizer)) return SentencePieceFields(std::move(*v), config);
  if (auto v = ByteLevelVocabularyOf(*tokenizer)) return ByteLevelFields(std::move(*v), config);
  if (auto v = WordPieceVocabularyOf(*tokenizer)) return WordPieceFields(std::move(*v), config, source);
  Fail("{}: its tokenizer has no form in GGUF; expected SentencePiece, byte-level BPE or WordPiece", source);
}

}  // namespace kinetok
