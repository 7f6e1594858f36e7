// What the machine has: free memory, and what this process has used.
#pragma once

#include <cstdint>
#include <string_view>

namespace kinetok {

int64_t AvailableMemoryBytes();  // MemAvailable, limited by the cgroup; -1 when unknown
int64_t PeakRssBytes();          // of this process

// Throws Error "<what> needs 16.1 GB, 9.8 GB are free" when `bytes` exceeds AvailableMemoryBytes().
void RequireMemory(int64_t bytes, std::string_view what);

}  // namespace kinetok
