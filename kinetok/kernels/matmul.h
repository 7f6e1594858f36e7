// Matrix products with packed weights: what inference runs. y = x W^T + b for any number of rows.
#pragma once

#include <cstdint>

#include "kinetok/kernels/context.h"
#include "kinetok/tensor/buffer.h"
#include "kinetok/tensor/dtype.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

// Where a matrix comes from: element (r, c) is at data[(r * row_stride + c * column_stride) * DTypeSize(dtype)].
// `data` may have any alignment (a mapped file).
struct MatrixSource {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0, columns = 0;
  int64_t row_stride = 0, column_stride = 1;
};

// A weight matrix W [rows = outputs, columns = inputs] in the lane-owned layout: panels of 16 output rows, interleaved,
// so that a SIMD lane owns a row and the columns are read one after another:
//
//   element (r, c)  ->  panel r / 16, at [c][r % 16]         rows are padded with zeros to a multiple of 16
//
// Immutable after packing; may be shared between threads.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  PackedMatrix(int64_t rows, int64_t columns, DType dtype);  // all zeros

  // Fills rows [first_row, first_row + source.rows) from `source`, converting to dtype(); first_row need not be a
  // multiple of 16. Several sources fill one matrix (the fused q, k and v projections).
  void SetRows(Context& context, int64_t first_row, const MatrixSource& source);

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  int64_t panels() const { return (rows_ + 15) / 16; }
  DType dtype() const { return dtype_; }
  int64_t bytes() const { return buffer_.bytes(); }
  bool empty() const { return rows_ == 0; }
  // The panel's [columns][16] elements, of dtype().
  const void* Panel(int64_t panel) const { return buffer_.data() + panel * columns_ * 16 * DTypeSize(dtype_); }

 private:
  int64_t rows_ = 0, columns_ = 0;
  DType dtype_ = DType::kF32;
  Buffer buffer_;
};

// y[m][n] = bias[n] + sum_k x[m][k] W[n][k]         x [M, K]   W [N, K]   bias [N] or empty (0)   y [M, N]
//
// Order of accumulation: one fused multiply-add per k on top of bias[n], k ascending. The bits of y[m][n] depend on
// row m of x and row n of W alone: not on M, on other rows, on threads or on the instruction set; and they equal
// those of LinearForward (kernels/gemm.h) on the unpacked weights.
void MatMul(Context& context, Rows<const float> x, const PackedMatrix& w, Span<const float> bias, Rows<float> y);

}  // namespace kinetok
