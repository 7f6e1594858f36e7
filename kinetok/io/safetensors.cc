#include "kinetok/io/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "kinetok/base/checked.h"
#include "kinetok/base/error.h"
#include "kinetok/base/json.h"

namespace kinetok {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxRank = 64;
constexpr std::string_view kMetadataKey = "__metadata__";

struct StoredType {
  std::string_view name;
  int64_t bits;
  std::optional<DType> type;
};

constexpr std::array kStoredTypes = {StoredType{"F32", 32, DType::kF32},
                                     StoredType{"F16", 16, DType::kF16},
                                     StoredType{"BF16", 16, DType::kBF16},
                                     StoredType{"F64", 64, {}},
                                     StoredType{"I64", 64, {}},
                                     StoredType{"U64", 64, {}},
                                     StoredType{"C64", 64, {}},
                                     StoredType{"I32", 32, {}},
                                     StoredType{"U32", 32, {}},
                                     StoredType{"I16", 16, {}},
                                     StoredType{"U16", 16, {}},
                                     StoredType{"I8", 8, {}},
                                     StoredType{"U8", 8, {}},
                                     StoredType{"BOOL", 8, {}},
                                     StoredType{"F8_E4M3", 8, {}},
                                     StoredType{"F8_E5M2", 8, {}},
                                     StoredType{"F8_E8M0", 8, {}},
                                     StoredType{"F8_E4M3FNUZ", 8, {}},
                                     StoredType{"F8_E5M2FNUZ", 8, {}},
                                     StoredType{"F6_E2M3", 6, {}},
                                     StoredType{"F6_E3M2", 6, {}},
                                     StoredType{"F4", 4, {}}};

// A tensor as its header entry gives it, before any number was believed.
struct Entry {
  std::string name, dtype;
  std::vector<uint64_t> shape, offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

// Receives the header's JSON event by event and accepts nothing but the format's few shapes, so memory stays in
// proportion to the header and a key that appears twice is seen.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view source) : source_(source) {}

  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

  bool null() { Refuse("null"); }
  bool boolean(bool value) { Refuse(value ? "true" : "false"); }
  bool number_integer(int64_t value) { Refuse(fmt::to_string(value)); }
  bool number_float(double, const std::string& text) { Refuse(text); }
  bool binary(Json::binary_t&) { Refuse("binary data"); }
  bool number_unsigned(uint64_t value) {
    if (place_ == Place::kShape) {
      entries.back().shape.push_back(value);
      if (entries.back().shape.size() > kMaxRank) {
        Fail("{}: tensor {} has more than {} dimensions", source_, QuoteName(entries.back().name), kMaxRank);
      }
    } else if (place_ == Place::kOffsets && entries.back().offsets.size() < 2) {
      entries.back().offsets.push_back(value);
    } else {
      Refuse(fmt::to_string(value));
    }
    return true;
  }
  bool string(std::string& value) {
    if (place_ == Place::kMetadata) {
      metadata[key_] = std::move(value);
    } else if (place_ == Place::kTensor && key_ == "dtype") {
      entries.back().dtype = std::move(value);
    } else {
      Refuse(QuoteName(value));
    }
    return true;
  }
  bool start_object(size_t) {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop) {
      place_ = key_ == kMetadataKey ? Place::kMetadata : Place::kTensor;
      if (place_ == Place::kTensor) entries.emplace_back().name = key_;
    } else {
      Refuse("an object");
    }
    return true;
  }
  bool end_object() {
    place_ = Place::kTop;
    return true;
  }
  bool start_array(size_t) {
    if (place_ != Place::kTensor || key_ == "dtype") Refuse("an array");
    place_ = key_ == "shape" ? Place::kShape : Place::kOffsets;
    return true;
  }
  bool end_array() {
    place_ = Place::kTensor;
    return true;
  }
  bool key(std::string& name) {
    key_ = std::move(name);
    bool fresh = true;
    if (place_ == Place::kTop) {
      fresh = names_.insert(key_).second;
    } else if (place_ == Place::kMetadata) {
      fresh = !metadata.contains(key_);
    } else {
      Entry& entry = entries.back();
      bool* seen = key_ == "dtype"          ? &entry.has_dtype
                   : key_ == "shape"        ? &entry.has_shape
                   : key_ == "data_offsets" ? &entry.has_offsets
                                            : nullptr;
      if (seen == nullptr) {
        Fail("{}: tensor {} has the field {}, expected dtype, shape and data_offsets only", source_,
             QuoteName(entry.name), QuoteName(key_));
      }
      fresh = !std::exchange(*seen, true);
    }
    if (!fresh) Fail("{}: {} appears twice", Where(), QuoteName(key_));
    return true;
  }
  bool parse_error(size_t, const std::string&, const Json::exception&) { return false; }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets };

  std::string Where() const {
    if (place_ == Place::kStart || place_ == Place::kTop) return fmt::format("{}: header", source_);
    if (place_ == Place::kMetadata) return fmt::format("{}: {}", source_, kMetadataKey);
    return fmt::format("{}: tensor {}", source_, QuoteName(entries.back().name));
  }

  [[noreturn]] void Refuse(std::string_view found) const {
    switch (place_) {
      case Place::kStart:
        Fail("{}: the header is {}, expected a JSON object", source_, found);
      case Place::kTop:
        Fail("{}: {} is {}, expected an object", Where(), QuoteName(key_), found);
      case Place::kMetadata:
        Fail("{}: {} is {}, expected a string", Where(), QuoteName(key_), found);
      case Place::kTensor:
        Fail("{}: {} is {}, expected {}", Where(), key_, found,
             key_ == "dtype" ? "a string" : "an array of whole numbers");
      case Place::kShape:
        Fail("{}: shape holds {}, expected whole numbers of 0 or more", Where(), found);
      case Place::kOffsets:
        Fail("{}: data_offsets holds {}, expected two whole numbers of 0 or more", Where(), found);
    }
    Fail("{}: unexpected {}", Where(), found);
  }

  std::string_view source_;
  Place place_ = Place::kStart;
  std::string key_;
  std::unordered_set<std::string> names_;
};

// The tensor with every number checked against the `data_bytes` behind the header.
TensorInfo CheckEntry(Entry entry, uint64_t data_offset, uint64_t data_bytes, std::string_view source) {
  const auto where = [&] { return fmt::format("{}: tensor {}", source, QuoteName(entry.name)); };
  if (!entry.has_dtype) Fail("{} has no dtype", where());
  if (!entry.has_shape) Fail("{} has no shape", where());
  if (!entry.has_offsets) Fail("{} has no data_offsets", where());
  if (entry.offsets.size() != 2) {
    Fail("{} has {} data_offsets, expected a begin and an end", where(), entry.offsets.size());
  }
  const uint64_t begin = entry.offsets[0], end = entry.offsets[1];
  if (begin > end) Fail("{} has data_offsets [{}, {}], expected begin <= end", where(), begin, end);
  if (end > data_bytes) {
    Fail("{} has data_offsets [{}, {}], but the file holds {} bytes of data", where(), begin, end, data_bytes);
  }
  const auto stored = std::ranges::find(kStoredTypes, entry.dtype, &StoredType::name);
  if (stored == kStoredTypes.end()) Fail("{} has dtype {}, which is unknown", where(), QuoteName(entry.dtype));

  const std::string shape = fmt::format("[{}]", fmt::join(entry.shape, ", "));
  TensorInfo info;
  for (const uint64_t d : entry.shape) {
    if (d > static_cast<uint64_t>(INT64_MAX)) Fail("{} has shape {}, which is too large", where(), shape);
    info.shape.push_back(static_cast<int64_t>(d));
  }
  const auto elements = CheckedElements(info.shape);
  const auto bits = elements ? CheckedMul(*elements, stored->bits) : std::nullopt;
  if (!bits) Fail("{} has shape {}, which is too large", where(), shape);
  if (*bits % 8 != 0) Fail("{} has shape {} of {}, which does not fill whole bytes", where(), shape, entry.dtype);
  if (static_cast<uint64_t>(*bits / 8) != end - begin) {
    Fail("{} has shape {} of {}, which takes {} bytes, but data_offsets [{}, {}] hold {}", where(), shape, entry.dtype,
         *bits / 8, begin, end, end - begin);
  }
  info.name = std::move(entry.name);
  info.dtype = std::move(entry.dtype);
  info.type = stored->type;
  info.offset = static_cast<int64_t>(data_offset + begin);
  info.bytes = *bits / 8;
  return info;
}

}  // namespace

SafetensorsHeader ParseSafetensorsHeader(std::span<const std::byte> start, uint64_t file_size,
                                         std::string_view source) {
  if (file_size == 0) Fail("{}: the file is empty, expected a safetensors file", source);
  if (file_size > static_cast<uint64_t>(INT64_MAX) || start.size() > file_size) {
    Fail("{}: a size of {} bytes is impossible", source, file_size);
  }
  if (start.size() < kLengthBytes) {
    Fail("{}: the file has {} bytes, expected at least the {} of a header length", source, file_size, kLengthBytes);
  }
  uint64_t length = 0;
  std::memcpy(&length, start.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    Fail("{}: the header length is {}, expected at most {}; is this a safetensors file?", source, length,
         kMaxHeaderBytes);
  }
  if (length > start.size() - kLengthBytes) {
    Fail("{}: the header length is {}, but the file has {} bytes", source, length, file_size);
  }
  const std::string_view text(reinterpret_cast<const char*>(start.data()) + kLengthBytes, length);
  // The JSON parser would take a NUL for the end of its input, and skip a byte order mark.
  if (!text.starts_with('{') || text.find('\0') != std::string_view::npos) {
    Fail("{}: the header is not valid JSON, expected an object that begins with {{ and holds no NUL", source);
  }
  HeaderReader reader(source);
  if (!Json::sax_parse(text, &reader)) {
    ParseJson(text, fmt::format("{}: header", source));  // throws what the parser found, line and column
    Fail("{}: the header is not valid JSON", source);
  }

  SafetensorsHeader header;
  header.metadata = std::move(reader.metadata);
  header.data_offset = static_cast<int64_t>(kLengthBytes + length);
  const uint64_t data_bytes = file_size - kLengthBytes - length;
  header.tensors.reserve(reader.entries.size());
  for (Entry& entry : reader.entries) {
    header.tensors.push_back(CheckEntry(std::move(entry), kLengthBytes + length, data_bytes, source));
  }
  // Empty tensors come before the one that begins where they lie; names make the order total.
  std::ranges::sort(header.tensors, [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
  });
  int64_t expected = header.data_offset;
  for (const TensorInfo& t : header.tensors) {
    if (t.offset != expected) {
      Fail("{}: tensor {} begins at byte {} of the data, expected {}: tensors may neither overlap nor leave holes",
           source, QuoteName(t.name), t.offset - header.data_offset, expected - header.data_offset);
    }
    expected += t.bytes;
  }
  if (static_cast<uint64_t>(expected) != file_size) {
    Fail("{}: the file has {} bytes, but its last tensor ends at {}", source, file_size, expected);
  }
  return header;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : TensorFile(path) {
  SafetensorsHeader header = ParseSafetensorsHeader(file().bytes(), file().size(), path.string());
  metadata_ = std::move(header.metadata);
  SetTensors(std::move(header.tensors));
}

}  // namespace kinetok
