// safetensors files (https://github.com/huggingface/safetensors): read through a mapping after every length, offset and
// shape of the header was checked against the file; written as a stream that takes its name only when it is whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/tensor/dtype.h"

namespace kinetok {

struct TensorInfo {
  std::string name;
  std::string dtype;           // as the file says: "F32", "BF16", "I64", ...
  std::optional<DType> type;   // of the types that weights may have: F32, F16, BF16
  std::vector<int64_t> shape;  // empty for a scalar; a dimension may be 0
  int64_t offset = 0;          // from the start of the file, at any alignment
  int64_t bytes = 0;
  int64_t elements() const;
};

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // by offset: they follow each other without holes up to the end of the file
  std::map<std::string, std::string> metadata;
  int64_t data_offset = 0;
};

// Checks a file of `file_size` bytes of which `start` holds at least the header. Throws Error naming `source`, the
// tensor and the value for everything that the format forbids; names and fields that appear twice are forbidden too.
SafetensorsHeader ParseSafetensorsHeader(std::span<const std::byte> start, uint64_t file_size, std::string_view source);

// One mapped file. Immutable and safe to read from several threads.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);  // Throws Error as above

  const std::filesystem::path& path() const { return file_.path(); }
  const std::vector<TensorInfo>& tensors() const { return header_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  const TensorInfo* Find(std::string_view name) const;  // nullptr when absent

  // `tensor` is one of tensors().
  std::span<const std::byte> Bytes(const TensorInfo& tensor) const {
    return file_.bytes().subspan(static_cast<size_t>(tensor.offset), static_cast<size_t>(tensor.bytes));
  }
  // The tensor's pages leave memory; they are read again from disk when touched.
  void Drop(const TensorInfo& tensor) const;

 private:
  MappedFile file_;
  SafetensorsHeader header_;
  std::map<std::string_view, const TensorInfo*> by_name_;
};

// A tensor where it lies. Valid as long as its file.
struct TensorData {
  const TensorInfo* info = nullptr;
  const SafetensorsFile* file = nullptr;

  std::span<const std::byte> bytes() const { return file->Bytes(*info); }
  // Elements [first, first + out.size()) in f32. Throws Error when the type is none of F32, F16, BF16.
  void LoadF32(int64_t first, std::span<float> out) const;
  void Drop() const { file->Drop(*info); }
  // `model.safetensors: tensor "wte.weight"`, the beginning of an error message.
  std::string Describe() const;
};

// Writes one file. The tensors are declared first, then written one after the other, in pieces of any size, in the
// order of tensors(): the declared order, except that wider types come first so that all data is aligned.
//
//   SafetensorsWriter writer("model.safetensors", {{"wte.weight", DType::kF32, {50257, 768}}, ...});
//   for (const TensorSpec& t : writer.tensors()) writer.Write(t.name, ...);
//   writer.Commit();
struct TensorSpec {
  std::string name{};
  DType dtype = DType::kF32;
  std::vector<int64_t> shape{};
};

class SafetensorsWriter {
 public:
  SafetensorsWriter(std::filesystem::path path, std::vector<TensorSpec> tensors,
                    std::map<std::string, std::string> metadata = {{"format", "pt"}});

  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  int64_t file_bytes() const { return file_bytes_; }

  // The next bytes of `name`, which is the tensor whose turn it is. Throws Error when the disk does not take them.
  void Write(std::string_view name, std::span<const std::byte> bytes);
  // The same from f32, rounded to the declared type.
  void Write(std::string_view name, std::span<const float> values);
  // Every tensor is complete; until now the old file, if any, was untouched, and it stays when this is not reached.
  void Commit();

 private:
  void BeginPiece(std::string_view name, int64_t bytes);
  std::vector<TensorSpec> tensors_;
  AtomicFile file_;
  std::vector<std::byte> converted_;
  size_t current_ = 0;        // of tensors_
  int64_t current_left_ = 0;  // bytes that tensors_[current_] still lacks
  int64_t file_bytes_ = 0;
};

}  // namespace kinetok
