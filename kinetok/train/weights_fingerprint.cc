#include "kinetok/train/weights_fingerprint.h"

#include <algorithm>
#include <map>
#include <span>
#include <string_view>

#include "kinetok/base/error.h"
#include "kinetok/base/sha256.h"
#include "kinetok/io/checkpoint.h"

namespace kinetok {
namespace {

constexpr size_t kPiece = size_t{16} << 10;

void Update(Sha256& hash, std::span<const std::byte> bytes, bool whole) {
  if (whole || bytes.size() <= 3 * kPiece) return hash.Update(bytes);
  for (const size_t at : {size_t{0}, (bytes.size() - kPiece) / 2, bytes.size() - kPiece}) {
    hash.Update(bytes.subspan(at, kPiece));
  }
}

}  // namespace

std::string WeightsFingerprint(const std::filesystem::path& path, int64_t whole_bytes) {
  const Checkpoint checkpoint(path);
  std::map<std::string_view, const TensorData*> by_name;  // shards and their order do not matter
  for (const TensorData& tensor : checkpoint.tensors()) by_name.emplace(tensor.info->name, &tensor);
  const bool whole = checkpoint.bytes() <= whole_bytes;
  Sha256 hash;
  for (const auto& [name, tensor] : by_name) {
    const TensorInfo& info = *tensor->info;
    const std::string about = fmt::format("{} {} [{}]\n", name, info.dtype, fmt::join(info.shape, ", "));
    hash.Update(std::as_bytes(std::span(about)));
    Update(hash, tensor->bytes(), whole);
    tensor->Drop();
  }
  return hash.Hex();
}

}  // namespace kinetok
