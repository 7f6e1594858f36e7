// Any bytes are a safetensors file or an Error; of a file that is accepted every tensor can be touched.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <span>

#include "kinetok/base/error.h"
#include "kinetok/io/safetensors.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

volatile unsigned char sink;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  try {
    const kinetok::SafetensorsHeader header = kinetok::ParseSafetensorsHeader(file, size, "fuzz");
    auto end = static_cast<size_t>(header.data_offset);
    std::set<std::string> names;
    for (const kinetok::TensorInfo& t : header.tensors) {
      Require(names.insert(t.name).second);
      Require(static_cast<size_t>(t.offset) == end);
      if (t.type) Require(t.bytes == t.elements() * kinetok::DTypeSize(*t.type));
      for (const std::byte b : file.subspan(end, static_cast<size_t>(t.bytes))) sink = std::to_integer<uint8_t>(b);
      end += static_cast<size_t>(t.bytes);
    }
    Require(end == size);
  } catch (const kinetok::Error& e) {
    Require(std::string_view(e.what()).starts_with("fuzz: "));
  }
  return 0;
}
