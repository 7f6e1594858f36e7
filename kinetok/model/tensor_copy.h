// A tensor from the layout of one format into that of another.
#pragma once

#include <cstdint>
#include <functional>

#include "kinetok/io/tensor_file.h"
#include "kinetok/io/tensor_writer.h"
#include "kinetok/model/parameters.h"

namespace kinetok {

// The same rows of a parameter [rows, columns] in two layouts.
struct TensorMove {
  TensorData data;
  const PublishedTensor* from = nullptr;
  const PublishedTensor* to = nullptr;
  int64_t columns = 1;
};

// Writes the tensor as `spec`, the one whose turn it is, some megabytes at a time, and calls `written` with their
// bytes. Values of the same type keep their bits. Throws Error naming the tensor and a finite value that overflows the
// new type.
void CopyTensor(const TensorMove& move, TensorWriter& writer, const TensorSpec& spec,
                const std::function<void(int64_t bytes)>& written);

// Whether each value of the tensor is one that `type` has, too.
bool FitsExactly(const TensorData& data, DType type);

}  // namespace kinetok
