// In place of http_connection.cc where the HTTP library is not installed.
#include "kinetok/base/error.h"
#include "kinetok/serve/http_connection.h"

namespace kinetok {

void RequireHttp() {
  Fail("this build cannot serve: it was made without cpp-httplib; install libcpp-httplib-dev and build again");
}

void ServeConnection(int, const ConnectionContext&) noexcept {}

}  // namespace kinetok
