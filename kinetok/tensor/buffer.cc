#include "kinetok/tensor/buffer.h"

#include <sys/mman.h>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"

namespace kinetok {
namespace {

constexpr int64_t kHugePage = 2 << 20;

// Large buffers start on a huge page's boundary; the mapping keeps its slack inside.
int64_t MappedBytes(int64_t bytes) {
  return bytes >= kHugePage ? RoundUp(bytes, kHugePage) : RoundUp(bytes, 4096);
}

}  // namespace

Buffer::Buffer(int64_t bytes) : bytes_(bytes) {
  KINETOK_CHECK(bytes >= 0);
  if (bytes == 0) return;
  const int64_t size = MappedBytes(bytes), slack = bytes >= kHugePage ? kHugePage : 0;
  void* base = mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) Fail("{:.1f} GB of memory cannot be had", static_cast<double>(bytes) / 1e9);
  auto* first = static_cast<std::byte*>(base);
  if (slack != 0) {
    auto* aligned = reinterpret_cast<std::byte*>(RoundUp(reinterpret_cast<intptr_t>(first), kHugePage));
    if (aligned != first) munmap(first, aligned - first);
    const int64_t tail = slack - (aligned - first);
    if (tail != 0) munmap(aligned + size, tail);
    madvise(aligned, size, MADV_HUGEPAGE);
    first = aligned;
  }
  data_ = first;
}

Buffer::~Buffer() {
  if (data_ != nullptr) munmap(data_, MappedBytes(bytes_));
}

}  // namespace kinetok
