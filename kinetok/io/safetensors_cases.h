// safetensors files for the tests and the fuzzer's seeds: the valid ones, and one of every kind of malformed file with
// what its error says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kinetok {

// A file: the header's length, the header, `data_bytes` bytes of data.
inline std::string SafetensorsBytes(std::string_view header, size_t data_bytes) {
  std::string out;
  for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(uint64_t{header.size()} >> shift & 0xff);
  out += header;
  for (size_t i = 0; i < data_bytes; ++i) out += static_cast<char>(i * 37 + 1);
  return out;
}

struct SafetensorsCase {
  std::string name;
  std::string bytes;
  std::string error;  // part of the message; empty for a valid file
};

inline std::vector<SafetensorsCase> SafetensorsCases() {
  const auto one = [](std::string_view fields, size_t data) {
    return SafetensorsBytes(R"({"a":{)" + std::string(fields) + "}}", data);
  };
  const std::string valid = one(R"("dtype":"F32","shape":[2,2],"data_offsets":[0,16])", 16);
  std::string length_only(8, '\0');
  std::string huge_length = valid;
  huge_length[3] = '\x06';  // 100,663,296 and more
  std::string longest_length = valid;
  for (size_t i = 0; i < 8; ++i) longest_length[i] = '\xff';
  std::string past_end = valid;
  past_end[0] = static_cast<char>(valid.size() - 7);
  std::string ten = "{";
  for (int i = 0; i < 10; ++i) {
    ten += (i > 0 ? R"(,"t)" : R"("t)") + std::to_string(i) + R"(":{"dtype":"F32","shape":[4],"data_offsets":[0,16]})";
  }
  ten += "}";
  std::string deep = R"({"a":)" + std::string(5000, '[');
  std::string many = R"({"a":{"dtype":"U8","shape":[1)";
  for (int i = 0; i < 64; ++i) many += ",1";
  many += R"(],"data_offsets":[0,1]}})";

  return {
      {"one", valid, ""},
      {"nothing", SafetensorsBytes("{}", 0), ""},
      {"scalar", one(R"("dtype":"F16","shape":[],"data_offsets":[0,2])", 2), ""},
      {"zero_in_shape", one(R"("dtype":"F32","shape":[3,0,7],"data_offsets":[0,0])", 0), ""},
      {"zero_and_huge", one(R"("dtype":"F32","shape":[0,9223372036854775807,9],"data_offsets":[0,0])", 0), ""},
      {"padded", SafetensorsBytes(R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}       )", 2), ""},
      {"unaligned",
       SafetensorsBytes(R"({"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                        R"("a":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}} )",
                        7),
       ""},
      {"metadata",
       SafetensorsBytes(R"({"__metadata__":{"format":"pt","k":""},)"
                        R"("a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})",
                        8),
       ""},
      {"half_bytes", one(R"("dtype":"F4","shape":[2],"data_offsets":[0,1])", 1), ""},
      {"empty_between",
       SafetensorsBytes(R"({"z":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},)"
                        R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                        R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                        8),
       ""},
      {"korean_name", SafetensorsBytes(R"({"가중치":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1), ""},

      {"empty_file", "", "the file is empty"},
      {"five_bytes", "\x05\x01\x01\x01\x01", "the file has 5 bytes, expected at least the 8 of a header length"},
      {"no_header", length_only, "the header is not valid JSON"},
      {"header_over_limit", huge_length, "expected at most 100000000"},
      {"header_length_all_ones", longest_length, "the header length is 18446744073709551615"},
      {"header_past_end", past_end, "the header length is"},
      {"not_utf8", SafetensorsBytes("{\"\xff\xfe\":{}}", 0), "UTF-8"},
      {"overlong_utf8", SafetensorsBytes("{\"\xc0\xaf\":{}}", 0), "UTF-8"},
      {"not_json", SafetensorsBytes("{hello}", 0), "not valid JSON"},
      {"cut_json", SafetensorsBytes(R"({"a":{"dtype":"F32","sha)", 0), "not valid JSON"},
      {"after_json", SafetensorsBytes("{} {}", 0), "not valid JSON"},
      {"nul_after_json", SafetensorsBytes(std::string_view("{}\0", 3), 0), "holds no NUL"},
      {"byte_order_mark", SafetensorsBytes("\xef\xbb\xbf{}", 0), "begins with {"},
      {"space_before", SafetensorsBytes(" {}", 0), "begins with {"},
      {"array", SafetensorsBytes("[]", 0), "begins with {"},
      {"deep", SafetensorsBytes(deep, 0), "tensor"},
      {"tensor_is_number", SafetensorsBytes(R"({"a":1})", 0), "\"a\" is 1, expected an object"},
      {"tensor_is_null", SafetensorsBytes(R"({"a":null})", 0), "\"a\" is null, expected an object"},
      {"tensor_is_array", SafetensorsBytes(R"({"a":[]})", 0), "\"a\" is an array, expected an object"},
      {"tensor_is_bool", SafetensorsBytes(R"({"a":true})", 0), "\"a\" is true, expected an object"},
      {"metadata_is_string", SafetensorsBytes(R"({"__metadata__":"pt"})", 0), "\"pt\", expected an object"},
      {"metadata_holds_number", SafetensorsBytes(R"({"__metadata__":{"n":3}})", 0), "\"n\" is 3, expected a string"},
      {"metadata_holds_object", SafetensorsBytes(R"({"__metadata__":{"n":{}}})", 0), "expected a string"},
      {"metadata_key_twice", SafetensorsBytes(R"({"__metadata__":{"n":"","n":""}})", 0), "\"n\" appears twice"},
      {"metadata_twice", SafetensorsBytes(R"({"__metadata__":{},"__metadata__":{}})", 0), "appears twice"},
      {"name_twice",
       SafetensorsBytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                        R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                        2),
       "\"a\" appears twice"},
      {"name_twice_escaped",
       SafetensorsBytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                        R"("\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                        2),
       "\"a\" appears twice"},
      {"field_twice", one(R"("dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1])", 1),
       "\"dtype\" appears twice"},
      {"unknown_field", one(R"("dtype":"U8","shape":[1],"data_offsets":[0,1],"x":0)", 1), "has the field \"x\""},
      {"no_dtype", one(R"("shape":[1],"data_offsets":[0,1])", 1), "tensor \"a\" has no dtype"},
      {"no_shape", one(R"("dtype":"U8","data_offsets":[0,1])", 1), "tensor \"a\" has no shape"},
      {"no_offsets", one(R"("dtype":"U8","shape":[1])", 1), "tensor \"a\" has no data_offsets"},
      {"dtype_is_number", one(R"("dtype":8,"shape":[1],"data_offsets":[0,1])", 1), "dtype is 8, expected a string"},
      {"dtype_unknown", one(R"("dtype":"F31","shape":[1],"data_offsets":[0,1])", 1), "dtype \"F31\", which is unknown"},
      {"dtype_lower_case", one(R"("dtype":"f32","shape":[1],"data_offsets":[0,4])", 4), "which is unknown"},
      {"shape_is_number", one(R"("dtype":"U8","shape":1,"data_offsets":[0,1])", 1), "shape is 1, expected an array"},
      {"shape_is_string", one(R"("dtype":"U8","shape":"1","data_offsets":[0,1])", 1), "expected an array"},
      {"shape_is_object", one(R"("dtype":"U8","shape":{},"data_offsets":[0,1])", 1), "shape is an object"},
      {"negative_dimension", one(R"("dtype":"U8","shape":[-1],"data_offsets":[0,1])", 1), "shape holds -1"},
      {"negative_dimensions", one(R"("dtype":"U8","shape":[-1,-1],"data_offsets":[0,1])", 1), "shape holds -1"},
      {"fractional_dimension", one(R"("dtype":"U8","shape":[1.5],"data_offsets":[0,1])", 1), "shape holds 1.5"},
      {"float_dimension", one(R"("dtype":"U8","shape":[1.0],"data_offsets":[0,1])", 1), "shape holds 1.0"},
      {"exponent_dimension", one(R"("dtype":"U8","shape":[1e0],"data_offsets":[0,1])", 1), "shape holds 1e0"},
      {"nested_shape", one(R"("dtype":"U8","shape":[[1]],"data_offsets":[0,1])", 1), "shape holds an array"},
      {"object_in_shape", one(R"("dtype":"U8","shape":[{}],"data_offsets":[0,1])", 1), "shape holds an object"},
      {"text_dimension", one(R"("dtype":"U8","shape":["1"],"data_offsets":[0,1])", 1), "shape holds \"1\""},
      {"too_many_dimensions", SafetensorsBytes(many, 1), "more than 64 dimensions"},
      {"past_64_bits", one(R"("dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1])", 1), "shape holds"},
      {"two_by_two_over_four_bytes", one(R"("dtype":"F32","shape":[2,2],"data_offsets":[0,4])", 4),
       "shape [2, 2] of F32, which takes 16 bytes, but data_offsets [0, 4] hold 4"},
      {"wraps_around", one(R"("dtype":"F32","shape":[2,18446744073709551614],"data_offsets":[0,16])", 16),
       "shape [2, 18446744073709551614], which is too large"},
      {"product_wraps_to_zero", one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])", 0),
       "which is too large"},
      {"bytes_wrap", one(R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])", 0),
       "which is too large"},
      {"half_a_byte", one(R"("dtype":"F4","shape":[3],"data_offsets":[0,1])", 1), "does not fill whole bytes"},
      {"one_offset", one(R"("dtype":"U8","shape":[1],"data_offsets":[0])", 1), "has 1 data_offsets"},
      {"three_offsets", one(R"("dtype":"U8","shape":[1],"data_offsets":[0,1,1])", 1), "data_offsets holds 1"},
      {"negative_offset", one(R"("dtype":"U8","shape":[1],"data_offsets":[-1,0])", 1), "data_offsets holds -1"},
      {"fractional_offset", one(R"("dtype":"U8","shape":[1],"data_offsets":[0,1.5])", 1), "data_offsets holds 1.5"},
      {"backward_offsets", one(R"("dtype":"U8","shape":[1],"data_offsets":[1,0])", 1), "expected begin <= end"},
      {"offset_past_end", one(R"("dtype":"U8","shape":[2],"data_offsets":[0,2])", 1), "the file holds 1 bytes of data"},
      {"offset_of_2_to_63",
       one(R"("dtype":"U8","shape":[1],"data_offsets":[9223372036854775808,9223372036854775809])", 1),
       "the file holds 1 bytes of data"},
      {"offset_of_2_to_64", one(R"("dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,0])", 1),
       "expected begin <= end"},
      {"begins_late", one(R"("dtype":"U8","shape":[1],"data_offsets":[1,2])", 2),
       "begins at byte 1 of the data, expected 0"},
      {"hole",
       SafetensorsBytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                        R"("b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                        3),
       "tensor \"b\" begins at byte 2 of the data, expected 1"},
      {"overlap",
       SafetensorsBytes(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                        R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                        3),
       "tensor \"b\" begins at byte 1 of the data, expected 2"},
      {"empty_inside_another",
       SafetensorsBytes(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                        R"("b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}})",
                        2),
       "tensor \"b\" begins at byte 1"},
      {"ten_over_one_range", SafetensorsBytes(ten, 16), "tensor \"t1\" begins at byte 0 of the data, expected 16"},
      {"trailing_bytes", valid + "xx", "but its last tensor ends at"},
      {"trailing_bytes_of_nothing", SafetensorsBytes("{}", 3), "the file has 13 bytes, but its last tensor ends at 10"},
      {"two_bytes_short", valid.substr(0, valid.size() - 2), "the file holds 14 bytes of data"},
      {"no_data", valid.substr(0, valid.size() - 16), "the file holds 0 bytes of data"},
  };
}

}  // namespace kinetok
