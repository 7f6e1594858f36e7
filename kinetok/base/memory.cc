#include "kinetok/base/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

// The first number in a file; -1 when there is none ("max").
int64_t ReadNumber(const std::filesystem::path& path) {
  std::ifstream in(path);
  int64_t value = -1;
  return in >> value ? value : -1;
}

// The number behind `key` in a file of "key number" lines; 0 when it is not there.
int64_t ReadField(const std::filesystem::path& path, std::string_view key) {
  std::ifstream in(path);
  std::string name;
  for (int64_t value = 0; in >> name >> value;) {
    if (name == key) return value;
  }
  return 0;
}

// What control group `group` below `root` and those above it leave to this process; INT64_MAX without a limit. Cached
// pages of files count as used there, but are given up when memory is wanted.
int64_t LeftInGroup(const std::filesystem::path& root, std::filesystem::path group, const char* limit_file,
                    const char* usage_file, std::string_view cache_field) {
  int64_t left = INT64_MAX;
  for (group = group.relative_path();; group = group.parent_path()) {
    const std::filesystem::path folder = root / group;
    const int64_t limit = ReadNumber(folder / limit_file), used = ReadNumber(folder / usage_file);
    if (limit >= 0 && used >= 0) {
      const int64_t cached = ReadField(folder / "memory.stat", cache_field);
      left = std::min(left, std::max<int64_t>(0, limit - std::max<int64_t>(0, used - cached)));
    }
    if (group.empty()) return left;
  }
}

// Over the groups that /proc/self/cgroup names, "id:controllers:path" a line: version 2, and version 1's memory.
int64_t LeftInGroups() {
  int64_t left = INT64_MAX;
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (controllers.empty()) {
      left = std::min(left, LeftInGroup("/sys/fs/cgroup", path, "memory.max", "memory.current", "inactive_file"));
    } else if (controllers == "memory") {
      left = std::min(left, LeftInGroup("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes",
                                        "total_inactive_file"));
    }
  }
  return left;
}

}  // namespace

int64_t AvailableMemoryBytes() {
  int64_t available = -1;
  std::ifstream in("/proc/meminfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("MemAvailable:")) available = std::stoll(line.substr(13)) * 1024;
  }
  const int64_t left = LeftInGroups();
  if (left == INT64_MAX) return available;
  return available < 0 ? left : std::min(available, left);
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
