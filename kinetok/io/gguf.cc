#include "kinetok/io/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <optional>
#include <tuple>
#include <unordered_set>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/io/gguf_types.h"

namespace kinetok {
namespace {

constexpr uint64_t kMaxKeyBytes = 65535, kMaxNameBytes = 64;
constexpr uint32_t kMaxDimensions = 4;
constexpr int64_t kMaxAlignment = 65536;
// The fewest bytes that a field (key of one byte, type, value of one byte) and a tensor (name of one byte, one
// dimension) can take: a count that does not fit into the file is a lie.
constexpr uint64_t kSmallestField = 8 + 1 + 4 + 1, kSmallestTensor = 8 + 1 + 4 + 8 + 4 + 8;
constexpr std::string_view kAlignmentKey = "general.alignment";

bool IsUtf8(std::string_view text) {
  if (std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) return true;
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

// Reads forward and never past the end.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string_view source) : bytes_(bytes), source_(source) {}

  size_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }

  std::span<const std::byte> Take(uint64_t count, std::string_view what) {
    if (count > left()) {
      Fail("{}: the file ends in {}, which takes {} bytes at byte {}, and {} are left", source_, what, count, at_,
           left());
    }
    const auto out = bytes_.subspan(at_, static_cast<size_t>(count));
    at_ += static_cast<size_t>(count);
    return out;
  }
  template <class T>
  T Read(std::string_view what) {
    T value;
    std::memcpy(&value, Take(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  // Length and bytes; `longest` of 0 is without a limit but the file's.
  std::string_view String(std::string_view what, uint64_t longest = 0) {
    const auto length = Read<uint64_t>(what);
    if (longest > 0 && length > longest) {
      Fail("{}: {} has {} bytes at byte {}, expected at most {}", source_, what, length, at_, longest);
    }
    const auto bytes = Take(length, what);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!IsUtf8(text)) Fail("{}: {} is {}, which is not valid UTF-8", source_, what, QuoteName(text));
    return text;
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view source_;
  size_t at_ = 0;
};

GgufType ReadType(Cursor& cursor, const std::string& what, std::string_view source) {
  const auto type = cursor.Read<uint32_t>(what);
  if (type >= kGgufTypes.size()) Fail("{}: {} has the type {}, which is unknown", source, what, type);
  return static_cast<GgufType>(type);
}

GgufValue ReadValue(Cursor& cursor, const std::string& what, std::string_view source) {
  GgufValue value;
  value.type = ReadType(cursor, what, source);
  uint64_t count = 1;
  if (value.type == GgufType::kArray) {
    value.is_array = true;
    value.type = ReadType(cursor, what, source);
    if (value.type == GgufType::kArray) Fail("{}: {} is an array of arrays, which is not supported", source, what);
    count = cursor.Read<uint64_t>(what);
  }
  const bool strings = value.type == GgufType::kString;
  const uint64_t width = strings ? 8 : InfoOf(value.type).bytes;  // at least
  const auto bytes = CheckedMul(count, width);
  if (!bytes || *bytes > cursor.left()) {
    Fail("{}: {} has {} elements of {}, which do not fit into the {} bytes that are left", source, what, count,
         InfoOf(value.type).name, cursor.left());
  }
  value.count = static_cast<int64_t>(count);
  if (strings) {
    value.strings.reserve(static_cast<size_t>(count));
    for (uint64_t i = 0; i < count; ++i) value.strings.push_back(cursor.String(what));
    return value;
  }
  value.bytes = cursor.Take(*bytes, what);
  if (value.type == GgufType::kBool) {
    for (const std::byte b : value.bytes) {
      if (std::to_integer<int>(b) > 1) {
        Fail("{}: {} holds {} as a bool, expected 0 or 1", source, what, std::to_integer<int>(b));
      }
    }
  }
  return value;
}

int64_t ReadAlignment(const GgufMetadata& metadata) {
  const GgufValue* value = metadata.Find(kAlignmentKey);
  if (value == nullptr) return kGgufAlignment;
  if (value->is_array || value->type != GgufType::kUint32) {
    Fail("{}: field \"{}\" has the type {}, expected uint32", metadata.source(), kAlignmentKey,
         value->is_array ? "array" : InfoOf(value->type).name);
  }
  const int64_t alignment = metadata.Int(kAlignmentKey, 8, kMaxAlignment);
  if (!std::has_single_bit(static_cast<uint64_t>(alignment))) {
    Fail("{}: field \"{}\" is {}, expected a power of two", metadata.source(), kAlignmentKey, alignment);
  }
  return alignment;
}

// A tensor with its offset from the start of the data, as the file gives it.
TensorInfo ReadTensor(Cursor& cursor, int64_t alignment, std::string_view source) {
  TensorInfo info;
  info.name = cursor.String("a tensor's name", kMaxNameBytes);
  const std::string what = fmt::format("tensor {}", QuoteName(info.name));
  if (info.name.empty()) Fail("{}: a tensor has no name", source);
  const auto rank = cursor.Read<uint32_t>(what);
  if (rank == 0 || rank > kMaxDimensions) {
    Fail("{}: {} has {} dimensions, expected 1 to {}", source, what, rank, kMaxDimensions);
  }
  for (uint32_t d = 0; d < rank; ++d) {
    const auto size = cursor.Read<uint64_t>(what);
    if (size == 0 || size > static_cast<uint64_t>(INT64_MAX)) {
      Fail("{}: {} has a dimension of {}, expected 1 to {}", source, what, size, INT64_MAX);
    }
    info.shape.push_back(static_cast<int64_t>(size));
  }
  const auto id = cursor.Read<uint32_t>(what);
  const auto type = std::ranges::find(kGgmlTypes, id, &GgmlType::id);
  if (type == kGgmlTypes.end()) Fail("{}: {} has the type {}, which is unknown", source, what, id);
  if (info.shape[0] % type->block != 0) {
    Fail("{}: {} has rows of {} elements, expected a multiple of {} ({})", source, what, info.shape[0], type->block,
         type->name);
  }
  std::ranges::reverse(info.shape);
  const auto elements = CheckedElements(info.shape);
  const auto bytes = elements ? CheckedMul(*elements / type->block, type->bytes) : std::nullopt;
  if (!bytes || *bytes > INT64_MAX / 2) {
    Fail("{}: {} has shape [{}], which is too large", source, what, fmt::join(info.shape, ", "));
  }
  const auto offset = cursor.Read<uint64_t>(what);
  if (offset > static_cast<uint64_t>(INT64_MAX / 2) || offset % static_cast<uint64_t>(alignment) != 0) {
    Fail("{}: {} begins at byte {} of the data, expected a multiple of {} inside the file", source, what, offset,
         alignment);
  }
  info.dtype = type->name;
  info.type = type->type;
  info.offset = static_cast<int64_t>(offset);
  info.bytes = *bytes;
  return info;
}

// Tensors follow each other, each at the next multiple of the alignment, up to the end of the file; the last may lack
// its padding.
void CheckPlaces(GgufHeader& header, uint64_t file_size, std::string_view source) {
  std::ranges::sort(header.tensors, {}, [](const TensorInfo& t) { return std::tie(t.offset, t.name); });
  const auto size = static_cast<int64_t>(file_size);
  int64_t expected = 0, end = 0;
  for (TensorInfo& t : header.tensors) {
    if (t.offset != expected) {
      Fail("{}: tensor {} begins at byte {} of the data, expected {}: tensors may neither overlap nor leave holes",
           source, QuoteName(t.name), t.offset, expected);
    }
    end = t.offset + t.bytes;  // both below 2^62
    if (end > size - header.data_offset) {
      Fail("{}: tensor {} takes {} bytes at byte {} of the data, but the file holds {} bytes of data", source,
           QuoteName(t.name), t.bytes, t.offset, std::max<int64_t>(0, size - header.data_offset));
    }
    expected = RoundUp(end, header.alignment);
    t.offset += header.data_offset;
  }
  if (size > header.data_offset + expected) {
    Fail("{}: the file has {} bytes, but its last tensor ends at {}", source, size, header.data_offset + end);
  }
}

}  // namespace

GgufHeader ParseGgufHeader(std::span<const std::byte> start, uint64_t file_size, std::string_view source) {
  if (file_size > static_cast<uint64_t>(INT64_MAX / 2) || start.size() > file_size) {
    Fail("{}: a size of {} bytes is impossible", source, file_size);
  }
  Cursor cursor(start, source);
  const auto magic = cursor.Take(kGgufMagic.size(), "the magic number of a GGUF file");
  if (std::memcmp(magic.data(), kGgufMagic.data(), kGgufMagic.size()) != 0) {
    Fail("{}: does not begin with \"GGUF\", expected a GGUF file", source);
  }
  GgufHeader header;
  header.version = cursor.Read<uint32_t>("the version");
  if (header.version != 2 && header.version != 3) {
    const bool swapped = header.version == 0x02000000 || header.version == 0x03000000;
    Fail("{}: the version is {}, which is not supported{}; expected 2 or 3", source, header.version,
         swapped ? " (a big-endian file)" : "");
  }
  const auto tensors = cursor.Read<uint64_t>("the count of tensors");
  const auto fields = cursor.Read<uint64_t>("the count of metadata fields");
  if (fields > cursor.left() / kSmallestField || tensors > cursor.left() / kSmallestTensor) {
    Fail("{}: the header counts {} metadata fields and {} tensors, which do not fit into the {} bytes that are left",
         source, fields, tensors, cursor.left());
  }
  header.metadata = GgufMetadata(std::string(source));
  for (uint64_t i = 0; i < fields; ++i) {
    const std::string_view key = cursor.String("a field's name", kMaxKeyBytes);
    if (key.empty()) Fail("{}: a metadata field has no name", source);
    const std::string what = fmt::format("field {}", QuoteName(key));
    if (!header.metadata.Add(key, ReadValue(cursor, what, source))) Fail("{}: {} appears twice", source, what);
  }
  header.alignment = ReadAlignment(header.metadata);
  std::unordered_set<std::string> names;
  for (uint64_t i = 0; i < tensors; ++i) {
    header.tensors.push_back(ReadTensor(cursor, header.alignment, source));
    if (!names.insert(header.tensors.back().name).second) {
      Fail("{}: tensor {} appears twice", source, QuoteName(header.tensors.back().name));
    }
  }
  header.data_offset = RoundUp(static_cast<int64_t>(cursor.at()), header.alignment);
  CheckPlaces(header, file_size, source);
  return header;
}

GgufFile::GgufFile(const std::filesystem::path& path) : TensorFile(path) {
  GgufHeader header = ParseGgufHeader(file().bytes(), file().size(), path.string());
  version_ = header.version;
  metadata_ = std::move(header.metadata);
  SetTensors(std::move(header.tensors));
}

bool IsGguf(const std::filesystem::path& file) {
  char magic[4] = {};
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) return false;
  std::ifstream in(file, std::ios::binary);
  return in.read(magic, sizeof(magic)) && std::string_view(magic, sizeof(magic)) == kGgufMagic;
}

}  // namespace kinetok
