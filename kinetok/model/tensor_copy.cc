#include "kinetok/model/tensor_copy.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/model/checkpoint.h"

namespace kinetok {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 23;

// Finite values from here on round to infinity.
float OverflowLimit(DType type) {
  switch (type) {
    case DType::kF32:
      return INFINITY;
    case DType::kF16:
      return 65520.0f;
    case DType::kBF16:
      return std::bit_cast<float>(0x7f7f8000u);
  }
  KINETOK_CHECK(false);
  return 0;
}

// The parameter's row, from the tensor's first, of each stored one; empty: they are in order.
std::vector<int64_t> StoredOrder(const PublishedTensor& t) {
  std::vector<int64_t> order;
  if (t.rotary_dim == 0) return order;
  order.resize(static_cast<size_t>(t.rows));
  for (const StoredRun& run : StoredRuns(t)) {
    for (int64_t i = 0; i < run.rows; ++i) {
      order[static_cast<size_t>(run.stored + i * run.stride)] = run.parameter_row - t.first_row + i;
    }
  }
  return order;
}

// Gathers rows of the tensor as it will be stored from where it lies, in its own type.
class Gather {
 public:
  explicit Gather(const TensorMove& move)
      : rows_(move.to->rows),
        columns_(move.columns),
        from_transposed_(move.from->transposed),
        to_transposed_(move.to->transposed),
        from_(move.data.bytes().data()),
        size_(DTypeSize(move.data.RequireType())),
        to_order_(StoredOrder(*move.to)) {
    const std::vector<int64_t> order = StoredOrder(*move.from);
    from_place_.resize(order.size());
    for (size_t i = 0; i < order.size(); ++i) from_place_[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  }

  int64_t stored_rows() const { return to_transposed_ ? columns_ : rows_; }
  int64_t stored_width() const { return to_transposed_ ? rows_ : columns_; }

  // Stored rows [first, first + count).
  void Fill(int64_t first, int64_t count, std::byte* out) const {
    if (from_transposed_ == to_transposed_) {
      const int64_t width = stored_width() * size_;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t row = to_transposed_ ? first + i : Source(Target(first + i));
        std::memcpy(out + i * width, from_ + row * width, static_cast<size_t>(width));
      }
    } else if (size_ == 4) {
      Transpose<uint32_t>(first, count, out);
    } else {
      Transpose<uint16_t>(first, count, out);
    }
  }

 private:
  int64_t Target(int64_t stored) const { return to_order_.empty() ? stored : to_order_[static_cast<size_t>(stored)]; }
  int64_t Source(int64_t row) const { return from_place_.empty() ? row : from_place_[static_cast<size_t>(row)]; }

  // Reads along the lines of the source, each of which meets all of the piece's rows in one column.
  template <class T>
  void Transpose(int64_t first, int64_t count, std::byte* out) const {
    const int64_t width = stored_width();
    const auto copy = [&](int64_t line, int64_t line_width, int64_t from, int64_t column, const auto& place) {
      const std::byte* in = from_ + line * line_width * size_;
      for (int64_t i = 0; i < count; ++i) {
        std::memcpy(out + (i * width + column) * size_, in + place(from + i) * size_, sizeof(T));
      }
    };
    for (int64_t column = 0; column < width; ++column) {
      if (to_transposed_) {  // the column is a row of the parameter
        copy(Source(column), columns_, first, column, [](int64_t c) { return c; });
      } else {
        copy(column, rows_, first, column, [&](int64_t row) { return Target(row); });
      }
    }
  }

  int64_t rows_, columns_;
  bool from_transposed_, to_transposed_;
  const std::byte* from_;
  int64_t size_;
  std::vector<int64_t> to_order_, from_place_;
};

}  // namespace

void CopyTensor(const TensorMove& move, TensorWriter& writer, const TensorSpec& spec,
                const std::function<void(int64_t bytes)>& written) {
  KINETOK_CHECK(move.from->rows == move.to->rows && move.from->first_row == move.to->first_row);
  const Gather gather(move);
  const DType from = move.data.RequireType(), to = spec.dtype;
  const int64_t width = gather.stored_width();
  const int64_t step = std::max<int64_t>(1, kPieceBytes / (width * DTypeSize(from)));
  const float limit = OverflowLimit(to);
  std::vector<std::byte> piece;
  std::vector<float> values;
  for (int64_t first = 0; first < gather.stored_rows(); first += step) {
    const int64_t count = std::min(step, gather.stored_rows() - first), elements = count * width;
    piece.resize(static_cast<size_t>(elements * DTypeSize(from)));
    gather.Fill(first, count, piece.data());
    if (from == to) {
      writer.Write(spec.name, std::span<const std::byte>(piece));
    } else {
      values.resize(static_cast<size_t>(elements));
      for (int64_t i = 0; i < elements; ++i) {
        const float v = LoadElement(from, piece.data(), i);
        if (std::fabs(v) >= limit && std::isfinite(v)) {
          Fail("{} holds {}, which {} cannot; expected values below {} there, or another type", move.data.Describe(), v,
               DTypeName(to), limit);
        }
        values[static_cast<size_t>(i)] = v;
      }
      writer.Write(spec.name, std::span<const float>(values));
    }
    written(elements * DTypeSize(to));
  }
}

bool FitsExactly(const TensorData& data, DType type) {
  const DType from = data.RequireType();
  if (from == type || type == DType::kF32) return true;
  std::byte rounded[4];
  for (int64_t i = 0; i < data.info->elements(); ++i) {
    const float v = LoadElement(from, data.bytes().data(), i);
    StoreElement(type, rounded, 0, v);
    if (std::bit_cast<uint32_t>(LoadElement(type, rounded, 0)) != std::bit_cast<uint32_t>(v)) return false;
  }
  return true;
}

}  // namespace kinetok
