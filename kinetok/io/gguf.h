// GGUF files, versions 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): read through a mapping
// after every count, length, offset and product was checked against the file; written as a stream.
//
//   magic "GGUF", version, count of tensors, count of metadata fields
//   fields:  key, type, value          tensors:  name, dimensions (the contiguous one first), type, offset
//   data at the next multiple of general.alignment (32), each tensor at a multiple of it
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kinetok/base/json.h"
#include "kinetok/io/tensor_file.h"
#include "kinetok/io/tensor_writer.h"

namespace kinetok {

enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64
};

// A field's value, as views into the file.
struct GgufValue {
  GgufType type = GgufType::kUint32;  // of the value, or of an array's elements
  bool is_array = false;
  int64_t count = 1;                      // elements
  std::span<const std::byte> bytes;       // of numbers and bools, as stored
  std::vector<std::string_view> strings;  // of strings
};

// The fields of a file by key, read through accessors whose errors name the file, the key, the value and what was
// expected. Valid as long as the bytes that it was read from.
class GgufMetadata {
 public:
  explicit GgufMetadata(std::string source = "") : source_(std::move(source)) {}
  // False when the key is taken already.
  bool Add(std::string_view key, GgufValue value);

  const std::string& source() const { return source_; }
  const GgufValue* Find(std::string_view key) const;  // nullptr when absent
  bool Has(std::string_view key) const { return Find(key) != nullptr; }

  // Required fields: absent, of another type or out of range is an Error.
  int64_t Int(std::string_view key, int64_t low, int64_t high) const;
  double Number(std::string_view key) const;  // finite
  bool Bool(std::string_view key) const;
  std::string String(std::string_view key) const;
  std::vector<std::string> Strings(std::string_view key) const;
  std::vector<int64_t> Ints(std::string_view key, int64_t low, int64_t high) const;
  std::vector<float> Floats(std::string_view key) const;
  // Optional fields: `fallback` when absent, an Error when of another type.
  int64_t Int(std::string_view key, int64_t low, int64_t high, int64_t fallback) const;
  double Number(std::string_view key, double fallback) const;
  bool Bool(std::string_view key, bool fallback) const;
  std::string String(std::string_view key, std::string fallback) const;

  // All fields in the order of the file. An array of more than `longest` elements is {"type": "string", "count":
  // 32000}.
  OrderedJson ToJson(int64_t longest) const;
  std::vector<std::string> keys() const { return order_; }

 private:
  const GgufValue& Get(std::string_view key) const;
  const GgufValue& Get(std::string_view key, bool array, std::string_view expected) const;
  std::string source_;
  std::map<std::string, GgufValue, std::less<>> fields_;
  std::vector<std::string> order_;
};

struct GgufHeader {
  uint32_t version = 0;
  GgufMetadata metadata;
  std::vector<TensorInfo> tensors;  // by offset; they follow each other, padded to the alignment
  int64_t alignment = 32;
  int64_t data_offset = 0;
};

// Checks a file of `file_size` bytes of which `start` holds at least the header. Throws Error naming `source`, the
// field or tensor and the value for everything that the format forbids; nested arrays, which no model uses, are refused
// too.
GgufHeader ParseGgufHeader(std::span<const std::byte> start, uint64_t file_size, std::string_view source);

class GgufFile : public TensorFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);  // Throws Error as above
  uint32_t version() const { return version_; }
  const GgufMetadata& metadata() const { return metadata_; }

 private:
  uint32_t version_ = 0;
  GgufMetadata metadata_;
};

// Whether the file begins as GGUF files do; false when it cannot be read.
bool IsGguf(const std::filesystem::path& file);

// A field to write.
using GgufData = std::variant<uint32_t, float, bool, std::string, std::vector<std::string>, std::vector<int32_t>,
                              std::vector<float>>;
using GgufFields = std::vector<std::pair<std::string, GgufData>>;

// A file of version 3 up to its data. Throws Error as PlaceTensors does.
std::string GgufHeaderBytes(const std::vector<TensorSpec>& tensors, const GgufFields& fields);

// Writes one file of version 3, the tensors in the declared order. Their shapes are row-major, as in TensorInfo.
class GgufWriter : public TensorWriter {
 public:
  GgufWriter(std::filesystem::path path, std::vector<TensorSpec> tensors, const GgufFields& fields);
};

}  // namespace kinetok
