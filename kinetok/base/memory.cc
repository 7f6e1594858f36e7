#include "kinetok/base/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

int64_t ReadNumber(const char* path) {
  std::ifstream in(path);
  int64_t value = -1;
  return in >> value ? value : -1;
}

}  // namespace

int64_t AvailableMemoryBytes() {
  int64_t available = -1;
  std::ifstream in("/proc/meminfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("MemAvailable:")) available = std::stoll(line.substr(13)) * 1024;
  }
  const int64_t limit = ReadNumber("/sys/fs/cgroup/memory.max");  // cgroup v2; "max" reads as unknown
  const int64_t used = ReadNumber("/sys/fs/cgroup/memory.current");
  if (limit >= 0 && used >= 0) {
    const int64_t left = std::max<int64_t>(0, limit - used);
    available = available < 0 ? left : std::min(available, left);
  }
  return available;
}

int64_t PeakRssBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

void RequireMemory(int64_t bytes, std::string_view what) {
  const int64_t available = AvailableMemoryBytes();
  if (available >= 0 && bytes > available) {
    Fail("{} needs {:.1f} GB, {:.1f} GB are free", what, static_cast<double>(bytes) / 1e9,
         static_cast<double>(available) / 1e9);
  }
}

}  // namespace kinetok
