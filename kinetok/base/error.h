// kinetok::Error: the one exception the library throws. Its message is a sentence that names the file, the field and
// the value, and says what was expected.
#pragma once

#include <fmt/format.h>
#include <fmt/std.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace kinetok {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws Error with a formatted sentence: Fail("{}: shape {} has rank {}, expected 2", file, shape, rank).
template <class... Args>
[[noreturn]] void Fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

// For our own mistakes only, never for input: std::logic_error naming the place.
[[noreturn]] void FailCheck(const char* condition, const char* file, int line);
#define KINETOK_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::kinetok::FailCheck(#condition, __FILE__, __LINE__))

}  // namespace kinetok
