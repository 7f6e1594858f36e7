// Any bytes are a request for an action or an Error; a request that is accepted has an image that can be looked at, of
// the size that its shape says, and an instruction. Bytes that begin with "=" are base64 or an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "kinetok/base/base64.h"
#include "kinetok/base/error.h"
#include "kinetok/serve/act_request.h"
#include "kinetok/vla/instruction.h"

namespace {

constexpr int64_t kPixels = 4096;

void Require(bool condition) {
  if (!condition) std::abort();
}

void Decode(std::string_view text) {
  const std::string bytes = kinetok::DecodeBase64(text, "fuzz");
  Require(kinetok::EncodeBase64(std::as_bytes(std::span(bytes))) == text);
}

void Parse(std::string_view body) {
  const kinetok::ActRequest request = kinetok::ParseActRequest(std::string(body), kPixels);
  const kinetok::ImageView view = request.image.view();
  kinetok::CheckImageView(view);
  Require(view.width * view.height <= kPixels &&
          request.image.bytes.size() == static_cast<size_t>(view.row_stride * view.height));
  Require(kinetok::CopyToRgb(view).pixels.size() == static_cast<size_t>(3 * view.width * view.height));
  kinetok::CheckInstruction(request.instruction);

  // The answer reads back as it was written.
  const double numbers[] = {static_cast<double>(view.width), static_cast<double>(request.image.bytes[0])};
  kinetok::Json answer = kinetok::Json::parse(kinetok::FormatAction(numbers, request.encoded));
  if (request.encoded) answer = kinetok::Json::parse(answer.get<std::string>());
  const std::string bytes = kinetok::DecodeBase64(answer.at("__numpy__").get<std::string>(), "answer");
  Require(bytes == std::string_view(reinterpret_cast<const char*>(numbers), sizeof(numbers)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    text.starts_with('=') ? Decode(text.substr(1)) : Parse(text);
  } catch (const kinetok::Error& e) {
    const std::string_view error = e.what();
    Require(!error.empty() && error.size() < 1000);
  }
  return 0;
}
