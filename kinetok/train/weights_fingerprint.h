// What tells one model's weights from another's, without reading all of a large one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace kinetok {

// SHA-256 of the stored tensors' names, types, shapes and bytes, whatever folder and shards they lie in: of all bytes
// when there are at most `whole_bytes` of them, otherwise of each tensor's first, middle and last 16 KiB, as training
// changes every tensor. `path` as of ModelFiles. Throws Error naming the file.
std::string WeightsFingerprint(const std::filesystem::path& path, int64_t whole_bytes = int64_t{256} << 20);

}  // namespace kinetok
