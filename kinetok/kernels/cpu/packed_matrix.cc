// Packing happens once, at load: 16 rows of the source, read side by side, become one panel. It should run at the
// speed of memory, so rows are turned in registers (128-bit vectors, which every machine has).
#include <algorithm>
#include <bit>
#include <cstring>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/kernels/matmul.h"

namespace kinetok {
namespace {

constexpr int64_t kRows = 16;    // of a panel
constexpr int64_t kBlock = 128;  // columns converted at a time: 16 rows of them stay in the first-level cache

using U16x8 = uint16_t __attribute__((vector_size(16)));
using U32x4 = uint32_t __attribute__((vector_size(16)));

// Vectors a and b, element by element in turn: the first half, and the second half.
U16x8 InterleaveLow(U16x8 a, U16x8 b) {
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
U16x8 InterleaveHigh(U16x8 a, U16x8 b) {
  return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
U32x4 InterleaveLow(U32x4 a, U32x4 b) {
  return __builtin_shufflevector(a, b, 0, 4, 1, 5);
}
U32x4 InterleaveHigh(U32x4 a, U32x4 b) {
  return __builtin_shufflevector(a, b, 2, 6, 3, 7);
}

template <class Bits>
struct VectorOf;
template <>
struct VectorOf<uint16_t> {
  using Type = U16x8;
};
template <>
struct VectorOf<uint32_t> {
  using Type = U32x4;
};

// out[c * 16 + r] = row r's element c, for 16 rows and `columns` columns.
template <class Bits>
void Turn(const char* rows, int64_t row_bytes, int64_t columns, Bits* out) {
  using Vector = typename VectorOf<Bits>::Type;
  constexpr int kWide = 16 / sizeof(Bits);
  int64_t c = 0;
  for (; c + kWide <= columns; c += kWide) {
    for (int part = 0; part < kRows; part += kWide) {
      Vector v[kWide], t[kWide];
      for (int i = 0; i < kWide; ++i) std::memcpy(&v[i], rows + (part + i) * row_bytes + c * sizeof(Bits), 16);
      for (int stage = 1; stage < kWide; stage *= 2) {  // each interleaves row i with row i + kWide / 2
        for (int i = 0; i < kWide / 2; ++i) {
          t[2 * i] = InterleaveLow(v[i], v[i + kWide / 2]);
          t[2 * i + 1] = InterleaveHigh(v[i], v[i + kWide / 2]);
        }
        for (int i = 0; i < kWide; ++i) v[i] = t[i];
      }
      for (int i = 0; i < kWide; ++i) std::memcpy(out + (c + i) * kRows + part, &v[i], 16);
    }
  }
  for (; c < columns; ++c) {
    for (int r = 0; r < kRows; ++r) {
      std::memcpy(out + c * kRows + r, rows + r * row_bytes + c * sizeof(Bits), sizeof(Bits));
    }
  }
}

// tensor/dtype.h's conversions on bits, without branches.
uint32_t WidenF16(uint16_t half) {
  const uint32_t magnitude = half & 0x7fffu;
  // Shifted into place the exponent is 112 too small; multiplying by 2^112 mends that, subnormals included.
  const uint32_t finite = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f);
  const uint32_t special = 0x7f800000u | (magnitude << 13);
  return (magnitude >= 0x7c00u ? special : finite) | (static_cast<uint32_t>(half & 0x8000u) << 16);
}
uint16_t NarrowBF16(uint32_t bits) {
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, nan = (bits >> 16) | 0x40u;
  return static_cast<uint16_t>(static_cast<int32_t>(bits & 0x7fffffffu) > 0x7f800000 ? nan : rounded);
}
uint16_t NarrowF16(uint32_t bits) {
  const auto magnitude = static_cast<int32_t>(bits & 0x7fffffffu);  // signed: comparisons that every machine has
  const int32_t normal = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  // Below 2^-14 results are multiples of 2^-24, which is how sums with 0.5 are rounded.
  const int32_t subnormal = std::bit_cast<int32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000;
  const int32_t nan = 0x7e00 | ((magnitude >> 13) & 0x3ff);
  int32_t out = magnitude < 0x38800000 ? subnormal : normal;
  out = magnitude >= 0x477ff000 ? 0x7c00 : out;
  out = magnitude > 0x7f800000 ? nan : out;
  return static_cast<uint16_t>(out | static_cast<int32_t>((bits >> 16) & 0x8000u));
}

// `count` elements, `stride` elements apart, of dtype `from`, to consecutive ones of dtype `to`.
void Convert(DType from, const char* source, int64_t stride, int64_t count, DType to, char* out) {
  const int64_t size = DTypeSize(from);
  if (from == to) {
    if (stride == 1) {
      std::memcpy(out, source, count * size);
    } else if (size == 2) {
      for (int64_t i = 0; i < count; ++i) std::memcpy(out + 2 * i, source + 2 * i * stride, 2);
    } else {
      for (int64_t i = 0; i < count; ++i) std::memcpy(out + 4 * i, source + 4 * i * stride, 4);
    }
    return;
  }
  // In loops that the compiler turns into vectors, or a large model would take minutes to load: into f32, then out of
  // it.
  uint32_t bits[kBlock];
  for (int64_t first = 0; first < count; first += kBlock) {
    const int64_t n = std::min(kBlock, count - first);
    uint16_t half[kBlock];
    Convert(from, source + first * stride * size, stride, n, from,
            from == DType::kF32 ? reinterpret_cast<char*>(bits) : reinterpret_cast<char*>(half));
    if (from == DType::kBF16) {
      for (int64_t i = 0; i < n; ++i) bits[i] = static_cast<uint32_t>(half[i]) << 16;
    } else if (from == DType::kF16) {
      for (int64_t i = 0; i < n; ++i) bits[i] = WidenF16(half[i]);
    }
    if (to == DType::kF32) {
      std::memcpy(out + 4 * first, bits, n * 4);
      continue;
    }
    if (to == DType::kBF16) {
      for (int64_t i = 0; i < n; ++i) half[i] = NarrowBF16(bits[i]);
    } else {
      for (int64_t i = 0; i < n; ++i) half[i] = NarrowF16(bits[i]);
    }
    std::memcpy(out + 2 * first, half, n * 2);
  }
}

// Rows [r0, r1) of panel `panel`, from source rows starting at `row`.
template <class Bits>
void FillPanel(const MatrixSource& source, int64_t row, int64_t r0, int64_t r1, DType dtype, Bits* panel) {
  const int64_t size = DTypeSize(source.dtype), count = r1 - r0;
  const char* first = static_cast<const char*>(source.data) + row * source.row_stride * size;
  if (source.row_stride == 1 && source.column_stride != 1) {  // a transposed matrix: 16 rows lie side by side
    for (int64_t c = 0; c < source.columns; ++c) {
      Convert(source.dtype, first + c * source.column_stride * size, 1, count, dtype,
              reinterpret_cast<char*>(panel + c * kRows + r0));
    }
    return;
  }
  if (count == kRows && source.dtype == dtype && source.column_stride == 1) {
    Turn(first, source.row_stride * size, source.columns, panel);
    return;
  }
  Bits block[kRows][kBlock];
  for (int64_t c = 0; c < source.columns; c += kBlock) {
    const int64_t columns = std::min(kBlock, source.columns - c);
    for (int64_t r = 0; r < count; ++r) {
      Convert(source.dtype, first + (r * source.row_stride + c * source.column_stride) * size, source.column_stride,
              columns, dtype, reinterpret_cast<char*>(block[r]));
    }
    if (count == kRows) {
      Turn(reinterpret_cast<const char*>(block), sizeof block[0], columns, panel + c * kRows);
      continue;
    }
    for (int64_t j = 0; j < columns; ++j) {
      for (int64_t r = 0; r < count; ++r) panel[(c + j) * kRows + r0 + r] = block[r][j];
    }
  }
}

}  // namespace

PackedMatrix::PackedMatrix(int64_t rows, int64_t columns, DType dtype) : rows_(rows), columns_(columns), dtype_(dtype) {
  KINETOK_CHECK(rows >= 0 && columns >= 0);
  const int64_t shape[] = {CeilDiv(rows, kRows) * kRows, columns, DTypeSize(dtype)};
  const auto bytes = CheckedElements(shape);
  if (!bytes) Fail("a matrix of shape [{}, {}] is larger than any memory", rows, columns);
  buffer_ = Buffer(*bytes);
}

void PackedMatrix::SetRows(Context& context, int64_t first_row, const MatrixSource& source) {
  KINETOK_CHECK(source.columns == columns_ && source.rows >= 0 && first_row >= 0 && first_row <= rows_ - source.rows);
  if (source.rows == 0 || columns_ == 0) return;
  const int64_t first_panel = first_row / kRows, last_row = first_row + source.rows;
  ParallelFor(context, CeilDiv(last_row, kRows) - first_panel, 1, [&](int64_t task, int64_t, int) {
    const int64_t panel = first_panel + task, base = panel * kRows;
    const int64_t r0 = std::max(first_row, base), r1 = std::min(last_row, base + kRows);
    std::byte* out = buffer_.data() + base * columns_ * DTypeSize(dtype_);
    if (dtype_ == DType::kF32) {
      FillPanel(source, r0 - first_row, r0 - base, r1 - base, dtype_, reinterpret_cast<uint32_t*>(out));
    } else {
      FillPanel(source, r0 - first_row, r0 - base, r1 - base, dtype_, reinterpret_cast<uint16_t*>(out));
    }
  });
}

}  // namespace kinetok
