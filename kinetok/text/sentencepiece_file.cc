#include "kinetok/text/sentencepiece_file.h"

#include <bit>
#include <optional>
#include <utility>

#include "kinetok/base/error.h"
#include "kinetok/text/vocabulary.h"

namespace kinetok {
namespace {

// The fields of one message, in the order of the file (protobuf's wire format).
class Message {
 public:
  Message(std::string_view bytes, size_t offset, std::string name)
      : bytes_(bytes), offset_(offset), name_(std::move(name)) {}

  // Reads the next field's number and value; false at the end.
  bool Next() {
    if (at_ == bytes_.size()) return false;
    start_ = at_;
    const uint64_t tag = Varint();
    field_ = tag >> 3;
    if (field_ == 0 || field_ > kMaxField) Fail("{} has field number {}, expected 1 to {}", Where(), field_, kMaxField);
    wire_ = static_cast<Wire>(tag & 7);
    switch (wire_) {
      case Wire::kVarint:
        number_ = Varint();
        break;
      case Wire::kFixed64:
        text_ = Take(8);
        break;
      case Wire::kBytes:
        text_ = Take(Varint());
        break;
      case Wire::kFixed32:
        text_ = Take(4);
        break;
      default:
        Fail("{}: field {} has wire type {}, expected 0, 1, 2 or 5", Where(), field_, tag & 7);
    }
    return true;
  }

  uint64_t field() const { return field_; }

  std::string_view Text(std::string_view what) const {
    Require(Wire::kBytes, what, "text");
    return text_;
  }
  Message Inside(std::string_view what) const {
    Require(Wire::kBytes, what, "a message");
    return {text_, offset_ + static_cast<size_t>(text_.data() - bytes_.data()), fmt::format("{}: {}", name_, what)};
  }
  int64_t Number(std::string_view what) const {
    Require(Wire::kVarint, what, "a number");
    return static_cast<int64_t>(number_);
  }
  bool Bool(std::string_view what) const {
    const int64_t value = Number(what);
    if (value != 0 && value != 1) Fail("{}: {} is {}, expected 0 or 1", Where(), what, value);
    return value == 1;
  }
  float Float(std::string_view what) const {
    Require(Wire::kFixed32, what, "a float");
    uint32_t bits = 0;
    for (size_t i = 4; i-- > 0;) bits = (bits << 8) | static_cast<uint8_t>(text_[i]);
    return std::bit_cast<float>(bits);
  }

  // The file, the message and the byte where the field begins.
  std::string Where() const { return fmt::format("{} at byte {}", name_, offset_ + start_); }

 private:
  enum class Wire : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  static constexpr uint64_t kMaxField = (uint64_t{1} << 29) - 1;

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) Fail("{} ends in the middle of a number", Where());
      const auto byte = static_cast<uint8_t>(bytes_[at_++]);
      if (shift == 63 && byte > 1) break;
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    Fail("{} has a number longer than 64 bits", Where());
  }

  std::string_view Take(uint64_t size) {
    if (size > bytes_.size() - at_) {
      Fail("{}: field {} is {} bytes long, but only {} are left", Where(), field_, size, bytes_.size() - at_);
    }
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }

  void Require(Wire wire, std::string_view what, std::string_view expected) const {
    if (wire_ != wire) {
      Fail("{}: {} (field {}) has wire type {}, expected {}", Where(), what, field_, static_cast<int>(wire_), expected);
    }
  }

  std::string_view bytes_;
  size_t offset_;     // of the message in the file
  std::string name_;  // of the file and the message
  size_t at_ = 0, start_ = 0;
  uint64_t field_ = 0, number_ = 0;
  Wire wire_ = Wire::kVarint;
  std::string_view text_;
};

// ModelProto.SentencePiece
SentencePiece ReadPiece(Message message) {
  SentencePiece piece;
  while (message.Next()) {
    if (message.field() == 1) piece.text = message.Text("piece");
    if (message.field() == 2) piece.score = message.Float("score");
    if (message.field() == 3) {
      const int64_t type = message.Number("type");
      if (type < 1 || type > 6) Fail("{}: type is {}, expected 1 to 6", message.Where(), type);
      piece.type = static_cast<PieceType>(type);
    }
  }
  return piece;
}

// TrainerSpec
void ReadTrainer(Message message, SentencePieceVocabulary& vocabulary, bool& is_bpe) {
  constexpr std::string_view kKinds[] = {"unigram", "bpe", "word", "char"};
  while (message.Next()) {
    const auto id = [&](std::string_view what) -> std::optional<int32_t> {
      const int64_t value = message.Number(what);
      if (value < -1 || value > kMaxTokenId) {
        Fail("{}: {} is {}, expected -1 to {}", message.Where(), what, value, kMaxTokenId);
      }
      return value < 0 ? std::nullopt : std::optional(static_cast<int32_t>(value));
    };
    switch (message.field()) {
      case 3: {
        const int64_t kind = message.Number("model_type");
        if (kind != 2) {
          Fail("{}: model_type is {} ({}), only 2 (bpe) is supported", message.Where(), kind,
               kind >= 1 && kind <= 4 ? kKinds[kind - 1] : "unknown");
        }
        is_bpe = true;
        break;
      }
      case 24:
        if (message.Bool("treat_whitespace_as_suffix")) {
          Fail("{}: treat_whitespace_as_suffix is true, only false is supported", message.Where());
        }
        break;
      case 40:
        vocabulary.ids.unk = id("unk_id");
        break;
      case 41:
        vocabulary.ids.bos = id("bos_id");
        break;
      case 42:
        vocabulary.ids.eos = id("eos_id");
        break;
      case 43:
        vocabulary.ids.pad = id("pad_id");
        break;
      default:
        break;  // how it was trained
    }
  }
}

// NormalizerSpec, of the way in or of the way back
void ReadNormalizer(Message message, SentencePieceVocabulary* vocabulary) {
  while (message.Next()) {
    if (message.field() == 2 && !message.Text("precompiled_charsmap").empty()) {
      Fail("{}: precompiled_charsmap has {} bytes, only none (the identity) is supported", message.Where(),
           message.Text("precompiled_charsmap").size());
    }
    if (vocabulary == nullptr) continue;
    if (message.field() == 3) vocabulary->add_dummy_prefix = message.Bool("add_dummy_prefix");
    if (message.field() == 4) vocabulary->remove_extra_whitespaces = message.Bool("remove_extra_whitespaces");
    if (message.field() == 5 && !message.Bool("escape_whitespaces")) {
      Fail("{}: escape_whitespaces is false, only true is supported", message.Where());
    }
  }
}

}  // namespace

SentencePieceVocabulary ReadSentencePieceModel(std::string_view bytes, const std::string& source) {
  SentencePieceVocabulary vocabulary;
  vocabulary.remove_extra_whitespaces = true;  // the defaults of the format
  vocabulary.ids = {.bos = 1, .eos = 2, .unk = 0};
  bool is_bpe = false, has_normalizer = false;
  Message model(bytes, 0, source);
  while (model.Next()) {
    switch (model.field()) {
      case 1:
        if (vocabulary.pieces.size() > static_cast<size_t>(kMaxTokenId)) {
          Fail("{}: more than {} pieces", model.Where(), kMaxTokenId);
        }
        vocabulary.pieces.push_back(ReadPiece(model.Inside(fmt::format("piece {}", vocabulary.pieces.size()))));
        break;
      case 2:
        ReadTrainer(model.Inside("trainer_spec"), vocabulary, is_bpe);
        break;
      case 3:
        ReadNormalizer(model.Inside("normalizer_spec"), &vocabulary);
        has_normalizer = true;
        break;
      case 5:
        ReadNormalizer(model.Inside("denormalizer_spec"), nullptr);
        break;
      default:
        break;  // self_test_data and extensions
    }
  }
  if (vocabulary.pieces.empty()) Fail("{}: no pieces are here, expected a SentencePiece model", source);
  if (!is_bpe) Fail("{}: trainer_spec: model_type is missing, which means unigram; only bpe is supported", source);
  if (!has_normalizer) Fail("{}: normalizer_spec is missing", source);
  return vocabulary;
}

}  // namespace kinetok
