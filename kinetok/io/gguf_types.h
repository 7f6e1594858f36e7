// The numbers that GGUF files write for types, for its reader and its writer.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "kinetok/io/gguf.h"

namespace kinetok {

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr int64_t kGgufAlignment = 32;  // where a file does not say

// Types of tensors (ggml_type). A quantised type stores `block` elements of a row in `bytes` bytes.
struct GgmlType {
  uint32_t id;
  std::string_view name;
  int64_t block, bytes;
  std::optional<DType> type{};
};
inline constexpr std::array kGgmlTypes = {GgmlType{0, "F32", 1, 4, DType::kF32},
                                          GgmlType{1, "F16", 1, 2, DType::kF16},
                                          GgmlType{30, "BF16", 1, 2, DType::kBF16},
                                          GgmlType{2, "Q4_0", 32, 18},
                                          GgmlType{3, "Q4_1", 32, 20},
                                          GgmlType{6, "Q5_0", 32, 22},
                                          GgmlType{7, "Q5_1", 32, 24},
                                          GgmlType{8, "Q8_0", 32, 34},
                                          GgmlType{9, "Q8_1", 32, 36},
                                          GgmlType{10, "Q2_K", 256, 84},
                                          GgmlType{11, "Q3_K", 256, 110},
                                          GgmlType{12, "Q4_K", 256, 144},
                                          GgmlType{13, "Q5_K", 256, 176},
                                          GgmlType{14, "Q6_K", 256, 210},
                                          GgmlType{15, "Q8_K", 256, 292},
                                          GgmlType{16, "IQ2_XXS", 256, 66},
                                          GgmlType{17, "IQ2_XS", 256, 74},
                                          GgmlType{18, "IQ3_XXS", 256, 98},
                                          GgmlType{19, "IQ1_S", 256, 50},
                                          GgmlType{20, "IQ4_NL", 32, 18},
                                          GgmlType{21, "IQ3_S", 256, 110},
                                          GgmlType{22, "IQ2_S", 256, 82},
                                          GgmlType{23, "IQ4_XS", 256, 136},
                                          GgmlType{24, "I8", 1, 1},
                                          GgmlType{25, "I16", 1, 2},
                                          GgmlType{26, "I32", 1, 4},
                                          GgmlType{27, "I64", 1, 8},
                                          GgmlType{28, "F64", 1, 8},
                                          GgmlType{29, "IQ1_M", 256, 56},
                                          GgmlType{34, "TQ1_0", 256, 54},
                                          GgmlType{35, "TQ2_0", 256, 66},
                                          GgmlType{39, "MXFP4", 32, 17},
                                          GgmlType{40, "NVFP4", 64, 36},
                                          GgmlType{41, "Q1_0", 128, 18}};

// Types of metadata, by GgufType: name, and bytes of a value (0: strings and arrays).
struct GgufTypeInfo {
  std::string_view name;
  uint64_t bytes;
};
inline constexpr std::array kGgufTypes = {
    GgufTypeInfo{"uint8", 1},  GgufTypeInfo{"int8", 1},  GgufTypeInfo{"uint16", 2},  GgufTypeInfo{"int16", 2},
    GgufTypeInfo{"uint32", 4}, GgufTypeInfo{"int32", 4}, GgufTypeInfo{"float32", 4}, GgufTypeInfo{"bool", 1},
    GgufTypeInfo{"string", 0}, GgufTypeInfo{"array", 0}, GgufTypeInfo{"uint64", 8},  GgufTypeInfo{"int64", 8},
    GgufTypeInfo{"float64", 8}};

inline const GgufTypeInfo& InfoOf(GgufType type) {
  return kGgufTypes[static_cast<size_t>(type)];
}

}  // namespace kinetok
