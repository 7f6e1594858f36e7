// NumPy's .npy files (format version 1.0), float32, row-major.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "kinetok/base/file.h"

namespace kinetok {

class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& path, std::span<const int64_t> shape);

  // The next elements, in row-major order, in pieces of any size. Throws Error when the disk does not take them.
  void Write(std::span<const float> values);
  void Commit();  // the shape is filled; the file takes its name

 private:
  AtomicFile file_;
  int64_t left_ = 0;
};

void WriteNpy(const std::filesystem::path& path, std::span<const int64_t> shape, std::span<const float> values);

}  // namespace kinetok
