// What the codecs of image.cc share. libjpeg and libpng report a failure by leaving through longjmp, which skips
// destructors: their calls run inside Guard, whose body owns nothing. Internal to io/.
#pragma once

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "kinetok/io/image.h"

namespace kinetok {

class CodecGuard {
 public:
  // Runs `body`; false when it ended in Leave. Nothing with a destructor may live in `body` across a library's call.
  template <class Body>
  bool Guard(const Body& body) {
    if (setjmp(jump_) != 0) return false;
    body();
    return true;
  }
  [[noreturn]] void Leave(const char* message) {
    const size_t length = std::min(std::strlen(message), sizeof(message_) - 1);
    std::memmove(message_, message, length);
    message_[length] = '\0';
    std::longjmp(jump_, 1);
  }
  const char* message() const { return message_; }

 private:
  std::jmp_buf jump_;
  char message_[256] = {};
};

// Throws Error when a header's size is zero or beyond the limits.
void CheckImageSize(int64_t width, int64_t height, const ImageLimits& limits, std::string_view source);

Image DecodeJpeg(std::span<const std::byte> bytes, std::string_view source, const ImageDecodeOptions& options);
Image DecodePng(std::span<const std::byte> bytes, std::string_view source, const ImageLimits& limits);

}  // namespace kinetok
