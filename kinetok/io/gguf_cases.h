// GGUF files for the tests and the fuzzer's seeds: valid ones, and one of every kind of malformed file with what its
// error says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kinetok {

// The pieces that a file is made of, as bytes; numbers may lie.
class GgufBytes {
 public:
  static std::string Number(uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
    return out;
  }
  static std::string U32(uint64_t value) { return Number(value, 4); }
  static std::string U64(uint64_t value) { return Number(value, 8); }
  static std::string Text(std::string_view text) { return U64(text.size()) + std::string(text); }
  static std::string Field(std::string_view key, uint64_t type, std::string_view value) {
    return Text(key) + U32(type) + std::string(value);
  }
  static std::string Array(std::string_view key, uint64_t type, uint64_t count, std::string_view values) {
    return Field(key, 9, U32(type) + U64(count) + std::string(values));
  }
  static std::string Tensor(std::string_view name, const std::vector<uint64_t>& dimensions, uint64_t type,
                            uint64_t offset) {
    std::string out = Text(name) + U32(dimensions.size());
    for (const uint64_t d : dimensions) out += U64(d);
    return out + U32(type) + U64(offset);
  }
  // A file of these fields and tensors and `data` bytes of data, which begin at a multiple of `alignment`.
  static std::string File(const std::vector<std::string>& fields, const std::vector<std::string>& tensors, size_t data,
                          uint64_t version = 3, size_t alignment = 32) {
    std::string out = "GGUF" + U32(version) + U64(tensors.size()) + U64(fields.size());
    for (const std::string& field : fields) out += field;
    for (const std::string& tensor : tensors) out += tensor;
    if (data > 0) out.resize((out.size() + alignment - 1) / alignment * alignment, '\0');
    for (size_t i = 0; i < data; ++i) out += static_cast<char>(i * 37 + 1);
    return out;
  }
};

struct GgufCase {
  std::string name;
  std::string bytes;
  std::string error;  // part of the message; empty for a valid file
};

inline std::vector<GgufCase> GgufCases() {
  using B = GgufBytes;
  const auto fields = [](const std::vector<std::string>& list) { return B::File(list, {}, 0); };
  const auto tensor = [](std::string_view bytes, size_t data) { return B::File({}, {std::string(bytes)}, data); };
  const std::string a = B::Tensor("a", {2, 2}, 0, 0), valid = tensor(a, 16);
  const std::string alignment = "general.alignment";
  const uint64_t most = ~uint64_t{0};
  std::string text_array;
  for (const char* word : {"ab", "", "오늘"}) text_array += B::Text(word);
  std::vector<std::string> every;
  for (uint64_t type = 0; type < 13; ++type) {
    const int bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (bytes[type] > 0) every.push_back(B::Field("k" + std::to_string(type), type, B::Number(1, bytes[type])));
  }
  const auto header = [&](uint64_t tensors, uint64_t count, std::string_view rest) {
    return "GGUF" + B::U32(3) + B::U64(tensors) + B::U64(count) + std::string(rest);
  };

  return {
      {"one", valid, ""},
      {"version_2", B::File({}, {a}, 16, 2), ""},
      {"nothing", fields({}), ""},
      {"padded_at_the_end", tensor(a, 32), ""},
      {"every_type_of_number", fields(every), ""},
      {"strings", fields({B::Field("s", 8, B::Text("text")), B::Array("list", 8, 3, text_array)}), ""},
      {"numbers", fields({B::Array("list", 6, 2, B::Number(0, 8)), B::Array("none", 4, 0, "")}), ""},
      {"alignment_64", B::File({B::Field(alignment, 4, B::U32(64))}, {a, B::Tensor("b", {1}, 0, 64)}, 68, 3, 64), ""},
      {"any_order", B::File({}, {B::Tensor("b", {3}, 1, 32), a}, 38), ""},
      {"types", B::File({}, {a, B::Tensor("q", {256, 2}, 12, 32), B::Tensor("h", {1}, 30, 320)}, 322), ""},
      {"four_dimensions", tensor(B::Tensor("a", {2, 1, 2, 1}, 1, 0), 8), ""},
      {"korean_name", tensor(B::Tensor("가중치", {1}, 24, 0), 1), ""},

      {"empty_file", "", "the file ends in the magic number"},
      {"three_bytes", "GGU", "the file ends in the magic number"},
      {"another_magic", "GGML" + valid.substr(4), "does not begin with \"GGUF\""},
      {"safetensors", std::string("\x08\0\0\0\0\0\0\0{}      ", 16), "does not begin with \"GGUF\""},
      {"magic_alone", "GGUF", "the file ends in the version"},
      {"version_1", B::File({}, {a}, 16, 1), "the version is 1, which is not supported; expected 2 or 3"},
      {"version_4", B::File({}, {a}, 16, 4), "the version is 4"},
      {"big_endian", B::File({}, {a}, 16, 0x03000000), "a big-endian file"},
      {"no_counts", "GGUF" + B::U32(3), "the file ends in the count of tensors"},
      {"tensors_past_the_file", header(1000, 0, std::string(100, '\0')), "counts 0 metadata fields and 1000 tensors"},
      {"fields_past_the_file", header(0, 1000, std::string(100, '\0')), "counts 1000 metadata fields"},
      {"counts_of_2_to_64", header(most, most, std::string(100, '\0')), "which do not fit into the 100 bytes"},
      {"count_that_wraps", header(uint64_t{1} << 61, 0, std::string(100, '\0')), "which do not fit"},
      {"fewer_fields_than_counted", header(0, 2, B::Field("abcdefghijklmnop", 4, B::U32(1))),
       "the file ends in a field's name"},

      {"empty_key", fields({B::Field("", 4, B::U32(1))}), "a metadata field has no name"},
      {"key_past_the_file", header(0, 1, B::U64(1000) + std::string(20, 'k')), "the file ends in a field's name"},
      {"key_of_2_to_64", header(0, 1, B::U64(most) + std::string(20, 'k')), "expected at most 65535"},
      {"key_too_long", fields({B::Field(std::string(65536, 'k'), 4, B::U32(1))}), "expected at most 65535"},
      {"key_not_utf8", fields({B::Field("k\xff", 4, B::U32(1))}),
       "a field's name is \"k\\ufffd\", which is not valid UTF-8"},
      {"key_twice", fields({B::Field("k", 4, B::U32(1)), B::Field("k", 8, B::Text("x"))}), "field \"k\" appears twice"},
      {"unknown_type", fields({B::Field("k", 13, B::U32(1))}), "field \"k\" has the type 13, which is unknown"},
      {"no_value", header(0, 1, B::Text("abcdef") + B::U32(4)),
       "field \"abcdef\" has 1 elements of uint32, which do not fit into the 0 bytes"},
      {"bool_of_2", fields({B::Field("k", 7, "\x02")}), "field \"k\" holds 2 as a bool"},
      {"text_past_the_file", fields({B::Field("k", 8, B::U64(100) + "abc")}),
       "the file ends in field \"k\", which takes 100"},
      {"text_of_2_to_63", fields({B::Field("k", 8, B::U64(uint64_t{1} << 63) + "abc")}),
       "the file ends in field \"k\""},
      {"text_of_2_to_64", fields({B::Field("k", 8, B::U64(most) + "abc")}), "the file ends in field \"k\""},
      {"text_not_utf8", fields({B::Field("k", 8, B::Text("a\xc3"))}), "which is not valid UTF-8"},
      {"surrogate", fields({B::Field("k", 8, B::Text("\xed\xa0\x80"))}), "which is not valid UTF-8"},
      {"array_of_unknown", fields({B::Array("k", 99, 1, "x")}), "has the type 99"},
      {"array_of_arrays", fields({B::Array("k", 9, 1, B::U32(4) + B::U64(1) + B::U32(1))}), "an array of arrays"},
      {"deep_arrays",
       [] {
         std::string deep;
         for (int i = 0; i < 5000; ++i) deep += B::U32(9) + B::U64(1);
         return B::File({B::Field("k", 9, deep)}, {}, 0);
       }(),
       "an array of arrays"},
      {"array_past_the_file", fields({B::Array("k", 4, 1000, "abcd")}),
       "has 1000 elements of uint32, which do not fit"},
      {"array_that_wraps", fields({B::Array("k", 4, uint64_t{1} << 62, "abcd")}), "which do not fit"},
      {"array_of_2_to_64", fields({B::Array("k", 8, most, "abcd")}), "which do not fit"},
      {"texts_past_the_file", fields({B::Array("k", 8, 2, B::Text("ab") + B::U64(9))}), "the file ends in field \"k\""},
      {"bools_of_2", fields({B::Array("k", 7, 3, std::string("\x01\x00\x02", 3))}), "holds 2 as a bool"},

      {"alignment_is_text", fields({B::Field(alignment, 8, B::Text("32"))}), "has the type string, expected uint32"},
      {"alignment_is_uint64", fields({B::Field(alignment, 10, B::U64(32))}), "has the type uint64, expected uint32"},
      {"alignment_is_array", fields({B::Array(alignment, 4, 1, B::U32(32))}), "has the type array, expected uint32"},
      {"alignment_0", fields({B::Field(alignment, 4, B::U32(0))}), "\"general.alignment\" is 0"},
      {"alignment_48", fields({B::Field(alignment, 4, B::U32(48))}), "is 48, expected a power of two"},
      {"alignment_too_large", fields({B::Field(alignment, 4, B::U32(0x80000000))}), "is 2147483648"},

      {"tensor_without_name", tensor(B::Tensor("", {4}, 0, 0), 16), "a tensor has no name"},
      {"tensor_name_not_utf8", tensor(B::Tensor("\xff", {4}, 0, 0), 16), "which is not valid UTF-8"},
      {"tensor_name_too_long", tensor(B::Tensor(std::string(65, 'n'), {4}, 0, 0), 16), "expected at most 64"},
      {"tensor_name_of_2_to_64", header(1, 0, B::U64(most) + std::string(60, 'n')), "expected at most 64"},
      {"tensor_twice", B::File({}, {a, B::Tensor("a", {2, 2}, 0, 32)}, 48), "tensor \"a\" appears twice"},
      {"no_dimensions", tensor(B::Tensor("a", {}, 0, 0) + "12345678", 16), "tensor \"a\" has 0 dimensions"},
      {"five_dimensions", tensor(B::Tensor("a", {1, 1, 1, 1, 1}, 0, 0), 4), "tensor \"a\" has 5 dimensions"},
      {"dimensions_of_2_to_32", tensor(B::Text("a") + B::U32(0xffffffff) + std::string(40, '\1'), 4),
       "has 4294967295 dimensions"},
      {"dimension_0", tensor(B::Tensor("a", {4, 0}, 0, 0), 16), "has a dimension of 0"},
      {"dimension_of_2_to_63", tensor(B::Tensor("a", {uint64_t{1} << 63}, 0, 0), 16),
       "has a dimension of 9223372036854775808"},
      {"product_wraps", tensor(B::Tensor("a", {uint64_t{1} << 32, uint64_t{1} << 32}, 0, 0), 16), "which is too large"},
      {"product_wraps_to_4", tensor(B::Tensor("a", {2, (uint64_t{1} << 63) - 1, 2}, 0, 0), 16), "which is too large"},
      {"bytes_wrap", tensor(B::Tensor("a", {uint64_t{1} << 62}, 0, 0), 16), "which is too large"},
      {"quantised_bytes_wrap", tensor(B::Tensor("a", {uint64_t{1} << 62, 2}, 15, 0), 16), "which is too large"},
      {"unknown_tensor_type", tensor(B::Tensor("a", {4}, 4, 0), 16), "tensor \"a\" has the type 4, which is unknown"},
      {"tensor_type_of_2_to_32", tensor(B::Tensor("a", {4}, 0xffffffff, 0), 16), "has the type 4294967295"},
      {"half_a_block", tensor(B::Tensor("a", {100, 2}, 12, 0), 144),
       "rows of 100 elements, expected a multiple of 256 (Q4_K)"},
      {"unaligned_offset", tensor(B::Tensor("a", {2, 2}, 0, 4), 20),
       "begins at byte 4 of the data, expected a multiple of 32"},
      {"offset_past_the_file", tensor(B::Tensor("a", {2, 2}, 0, 1 << 20), 16),
       "begins at byte 1048576 of the data, expected 0"},
      {"offset_of_2_to_63", tensor(B::Tensor("a", {2, 2}, 0, uint64_t{1} << 63), 16), "inside the file"},
      {"offset_that_wraps", tensor(B::Tensor("a", {2, 2}, 0, most - 31), 16), "inside the file"},
      {"hole", B::File({}, {a, B::Tensor("b", {1}, 0, 64)}, 68), "begins at byte 64 of the data, expected 32"},
      {"overlap", B::File({}, {B::Tensor("a", {16}, 0, 0), B::Tensor("b", {16}, 0, 32)}, 96),
       "tensor \"b\" begins at byte 32 of the data, expected 64"},
      {"same_place", B::File({}, {a, B::Tensor("b", {2, 2}, 0, 0)}, 32), "tensor \"b\" begins at byte 0"},
      {"no_data", tensor(a, 0), "the file holds 0 bytes of data"},
      {"two_bytes_short", valid.substr(0, valid.size() - 2),
       "takes 16 bytes at byte 0 of the data, but the file holds 14"},
      {"trailing_bytes", tensor(a, 33), "but its last tensor ends at"},
      {"trailing_bytes_of_nothing", fields({}) + std::string(64, 'x'), "but its last tensor ends at"},
  };
}

}  // namespace kinetok
