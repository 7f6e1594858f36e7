// Tensors streamed into a file that takes its name only when it is whole: the part that is the same in every format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kinetok/base/file.h"
#include "kinetok/tensor/dtype.h"

namespace kinetok {

struct TensorSpec {
  std::string name{};
  DType dtype = DType::kF32;
  std::vector<int64_t> shape{};
};

// Bytes of the tensor. Throws Error when its shape is too large.
int64_t TensorBytes(const TensorSpec& tensor);
// Where each tensor begins when they follow each other, each at a multiple of `alignment`; then where the last one's
// padding ends. Throws Error for a name that is declared twice and for a sum that is too large.
std::vector<int64_t> PlaceTensors(const std::vector<TensorSpec>& tensors, int64_t alignment);
// "F32", "F16" or "BF16", as the formats write it.
std::string_view StoredTypeName(DType type);

// The tensors are declared first, then written one after the other, in pieces of any size, in the order of tensors().
//
//   SafetensorsWriter writer("model.safetensors", {{"wte.weight", DType::kF32, {50257, 768}}, ...});
//   for (const TensorSpec& t : writer.tensors()) writer.Write(t.name, ...);
//   writer.Commit();
class TensorWriter {
 public:
  virtual ~TensorWriter() = default;
  TensorWriter(const TensorWriter&) = delete;
  TensorWriter& operator=(const TensorWriter&) = delete;

  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  int64_t file_bytes() const { return file_bytes_; }

  // The next bytes of `name`, which is the tensor whose turn it is. Throws Error when the disk does not take them.
  void Write(std::string_view name, std::span<const std::byte> bytes);
  // The same from f32, rounded to the declared type.
  void Write(std::string_view name, std::span<const float> values);
  // Every tensor is complete; until now the old file, if any, was untouched, and it stays when this is not reached.
  void Commit();

 protected:
  // The tensors are placed as PlaceTensors says, zeros fill the gaps.
  TensorWriter(std::filesystem::path path, std::vector<TensorSpec> tensors, int64_t alignment);
  const std::vector<int64_t>& offsets() const { return offsets_; }  // of PlaceTensors
  // All that precedes the data; called once, before the first tensor.
  void WriteHeader(std::string_view header);

 private:
  void BeginPiece(std::string_view name, int64_t bytes);
  void Pad();  // zeros behind tensors_[current_]
  std::vector<TensorSpec> tensors_;
  std::vector<int64_t> offsets_;
  AtomicFile file_;
  std::vector<std::byte> converted_;
  size_t current_ = 0;        // of tensors_
  int64_t current_left_ = 0;  // bytes that tensors_[current_] still lacks
  int64_t file_bytes_ = 0;
};

}  // namespace kinetok
