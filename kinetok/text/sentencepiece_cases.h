// tokenizer.model files for the tests and the fuzzer's seeds: a valid one, and what makes them broken or unsupported,
// with what the error says.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kinetok/text/tokenizer_builder.h"

namespace kinetok {

// Fields of protobuf's wire format.
inline std::string ProtoVarint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}
inline std::string ProtoNumber(uint64_t field, uint64_t value) {
  return ProtoVarint(field << 3) + ProtoVarint(value);
}
inline std::string ProtoBytes(uint64_t field, const std::string& bytes) {
  return ProtoVarint((field << 3) | 2) + ProtoVarint(bytes.size()) + bytes;
}
inline std::string ProtoFloat(uint64_t field, float value) {
  std::string bytes = ProtoVarint((field << 3) | 5);
  for (uint32_t bits = std::bit_cast<uint32_t>(value), i = 0; i < 4; ++i, bits >>= 8) bytes += static_cast<char>(bits);
  return bytes;
}

inline std::string ProtoPiece(const SentencePiece& piece) {
  return ProtoBytes(
      1, ProtoBytes(1, piece.text) + ProtoFloat(2, piece.score) + ProtoNumber(3, static_cast<uint64_t>(piece.type)));
}

// <unk> <s> </s>, the 256 bytes unless left out, then pieces whose scores fall.
inline std::vector<SentencePiece> SmallPieces(bool with_bytes = true) {
  std::vector<SentencePiece> pieces = {
      {"<unk>", 0, PieceType::kUnknown}, {"<s>", 0, PieceType::kControl}, {"</s>", 0, PieceType::kControl}};
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (int b = 0; b < 256 && with_bytes; ++b) {
    pieces.push_back({std::string("<0x") + kDigits[b / 16] + kDigits[b % 16] + ">", 0, PieceType::kByte});
  }
  float score = 0;
  for (const char* text : {"ab", "▁a", "bc", "▁ab", "▁오늘", "오늘", "▁", "a", "b", "c", "오", "늘"}) {
    pieces.push_back({text, score--, PieceType::kNormal});
  }
  return pieces;
}

// A model file: its pieces, a trainer_spec and a normalizer_spec.
inline std::string ModelFile(const std::vector<SentencePiece>& pieces, const std::string& trainer = ProtoNumber(3, 2),
                             const std::string& normalizer = ProtoNumber(4, 0)) {
  std::string bytes;
  for (const SentencePiece& piece : pieces) bytes += ProtoPiece(piece);
  return bytes + ProtoBytes(2, trainer) + ProtoBytes(3, normalizer);
}

struct BrokenModel {
  std::string bytes;
  std::vector<std::string> message;
};

inline std::vector<BrokenModel> BrokenModels() {
  const std::string valid = ModelFile(SmallPieces());
  const auto with = [](const SentencePiece& piece) {
    std::vector<SentencePiece> pieces = SmallPieces();
    pieces.push_back(piece);
    return ModelFile(pieces);
  };
  const float infinity = std::bit_cast<float>(uint32_t{0x7F800000});
  return {
      {"", {"no pieces"}},
      {valid.substr(0, 1), {"ends in the middle of a number"}},
      {valid.substr(0, valid.size() - 1), {"bytes long, but only"}},
      {"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", {"18446744073709551615 bytes long, but only 0 are left"}},
      {"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", {"a number longer than 64 bits"}},
      {"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", {"a number longer than 64 bits"}},
      {std::string("\x02\x00", 2), {"field number 0"}},
      {ProtoVarint(uint64_t{1} << 33), {"field number 1073741824"}},
      {"\x0B", {"wire type 3"}},
      {ProtoNumber(1, 7), {"piece 0 (field 1) has wire type 0, expected a message"}},
      {ProtoBytes(1, ProtoNumber(1, 7)), {"piece 0", "piece (field 1) has wire type 0, expected text"}},
      {ProtoBytes(1, ProtoNumber(2, 7)), {"score (field 2) has wire type 0, expected a float"}},
      {ProtoBytes(1, ProtoNumber(3, 7)), {"type is 7, expected 1 to 6"}},
      {ModelFile({}), {"no pieces"}},
      {ModelFile(SmallPieces(), ProtoNumber(3, 1)), {"trainer_spec", "model_type is 1 (unigram), only 2 (bpe)"}},
      {ModelFile(SmallPieces(), ProtoNumber(3, 9)), {"model_type is 9 (unknown)"}},
      {ModelFile(SmallPieces(), ""), {"model_type is missing"}},
      {ModelFile(SmallPieces(), ProtoNumber(3, 2) + ProtoNumber(24, 1)), {"treat_whitespace_as_suffix is true"}},
      {ModelFile(SmallPieces(), ProtoNumber(3, 2) + ProtoNumber(41, 5000)), {"the bos token has id 5000"}},
      {ModelFile(SmallPieces(), ProtoNumber(3, 2) + ProtoNumber(41, uint64_t{1} << 40)), {"bos_id is 1099511627776"}},
      {ModelFile(SmallPieces(), ProtoNumber(3, 2), ProtoNumber(4, 0) + ProtoBytes(2, "xy")),
       {"normalizer_spec", "precompiled_charsmap has 2 bytes"}},
      {ModelFile(SmallPieces(), ProtoNumber(3, 2), ProtoNumber(4, 1)), {"remove_extra_whitespaces is true"}},
      {ModelFile(SmallPieces(), ProtoNumber(3, 2), ""), {"remove_extra_whitespaces is true"}},
      {ModelFile(SmallPieces(), ProtoNumber(3, 2), ProtoNumber(4, 0) + ProtoNumber(5, 0)),
       {"escape_whitespaces is false"}},
      {ModelFile(SmallPieces(), ProtoNumber(3, 2), ProtoNumber(4, 2)),
       {"remove_extra_whitespaces is 2, expected 0 or 1"}},
      {with({"ab", 0, PieceType::kNormal}), {"piece \"ab\" appears twice, with ids 259 and 271"}},
      {with({"", 0, PieceType::kNormal}), {"the piece with id 271 is empty"}},
      {with({"\xFF", 0, PieceType::kNormal}), {"the piece with id 271 is not valid UTF-8"}},
      {with({"x", infinity, PieceType::kNormal}), {"piece \"x\" (id 271) has the score inf"}},
      {with({"x", 0, PieceType::kByte}), {"piece \"x\" (id 271) is marked as a byte"}},
      {with({std::string(5000, 'x'), 0, PieceType::kNormal}), {"id 271 is 5000 bytes long"}},
  };
}

}  // namespace kinetok
