#include "kinetok/base/error.h"

namespace kinetok {

void FailCheck(const char* condition, const char* file, int line) {
  throw std::logic_error(fmt::format("{}:{}: internal check failed: {}", file, line, condition));
}

}  // namespace kinetok
