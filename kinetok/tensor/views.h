// Views: who owns the memory is somebody else.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

namespace kinetok {

template <class T>
using Span = std::span<T>;

// A row-major matrix: element (i, j) is data[i * stride + j], stride >= width, in elements.
template <class T>
struct Rows {
  T* data = nullptr;
  int64_t rows = 0, width = 0, stride = 0;

  Rows() = default;
  Rows(T* d, int64_t r, int64_t w) : data(d), rows(r), width(w), stride(w) {}
  Rows(T* d, int64_t r, int64_t w, int64_t s) : data(d), rows(r), width(w), stride(s) {}
  // A mutable view reads as a const one.
  template <class U>
  requires(std::is_same_v<const U, T>) Rows(const Rows<U>& o)
      : data(o.data), rows(o.rows), width(o.width), stride(o.stride) {}  // NOLINT(google-explicit-constructor)

  T* operator[](int64_t i) const { return data + i * stride; }
  Rows Slice(int64_t first, int64_t count) const { return {data + first * stride, count, width, stride}; }
  Rows Columns(int64_t first, int64_t count) const { return {data + first, rows, count, stride}; }
  bool empty() const { return data == nullptr; }
};

}  // namespace kinetok
