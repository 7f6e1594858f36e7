// Named tensors in a mapped file, whatever its format: what safetensors and GGUF files have in common.
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
  std::string dtype;           // as the file says: "F32", "BF16", "I64", "Q4_K", ...
  std::optional<DType> type;   // of the types that weights may have: F32, F16, BF16
  std::vector<int64_t> shape;  // row-major, the last dimension is contiguous; empty for a scalar, a dimension may be 0
  int64_t offset = 0;          // from the start of the file, at any alignment
  int64_t bytes = 0;
  int64_t elements() const;
};

// One mapped file whose header was checked. Immutable and safe to read from several threads.
class TensorFile {
 public:
  virtual ~TensorFile() = default;
  TensorFile(const TensorFile&) = delete;
  TensorFile& operator=(const TensorFile&) = delete;

  const std::filesystem::path& path() const { return file_.path(); }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // by offset
  const TensorInfo* Find(std::string_view name) const;                 // nullptr when absent

  // `tensor` is one of tensors(). Valid until Drop.
  virtual std::span<const std::byte> Bytes(const TensorInfo& tensor) const {
    return file_.bytes().subspan(static_cast<size_t>(tensor.offset), static_cast<size_t>(tensor.bytes));
  }
  // The tensor's pages leave memory; they are read again from disk when touched.
  virtual void Drop(const TensorInfo& tensor) const;

 protected:
  explicit TensorFile(const std::filesystem::path& path) : file_(path) {}
  const MappedFile& file() const { return file_; }
  void SetTensors(std::vector<TensorInfo> tensors);  // once; their names are distinct

 private:
  MappedFile file_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string_view, const TensorInfo*> by_name_;
};

// A tensor where it lies. Valid as long as its file.
struct TensorData {
  const TensorInfo* info = nullptr;
  const TensorFile* file = nullptr;

  std::span<const std::byte> bytes() const { return file->Bytes(*info); }
  // Throws Error naming the tensor and its type when it is none of F32, F16, BF16.
  DType RequireType() const;
  // Elements [first, first + out.size()) in f32; Error as above.
  void LoadF32(int64_t first, std::span<float> out) const;
  void Drop() const { file->Drop(*info); }
  // `model.safetensors: tensor "wte.weight"`, the beginning of an error message.
  std::string Describe() const;
};

// A name from a file, safe to print.
std::string QuoteName(std::string_view name);

}  // namespace kinetok
