// Owned memory: 64-byte aligned, zeroed, in transparent huge pages when it is large.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace kinetok {

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t bytes);  // zeroed; throws Error when the memory cannot be had
  ~Buffer();
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  template <class T>
  std::span<T> As() const {
    return {reinterpret_cast<T*>(data_), static_cast<size_t>(bytes_) / sizeof(T)};
  }

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace kinetok
