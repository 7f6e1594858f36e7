// Any bytes are the beginning of a head, a whole one or a fault in words; a whole head read once more, as its lines are
// understood, is the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kinetok/serve/request_head.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

kinetok::RequestHead Read(std::string_view bytes) {
  kinetok::RequestHead head;
  for (const char c : bytes) {
    if (head.done()) break;
    const bool taken = head.Take(c);
    Require(taken == head.fault().empty());
    if (!taken) break;
  }
  Require(head.fault().size() < 200 && !(head.done() && !head.fault().empty()));
  return head;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const kinetok::RequestHead head = Read({reinterpret_cast<const char*>(data), size});
  if (!head.done()) return 0;
  for (const char* name : {"content-length", "connection", "a"}) {
    for (const std::string& value : head.Values(name)) {
      Require(value.size() <= kinetok::RequestHead::kMaxHeader && value.find_first_of("\r\n") == std::string::npos);
      const kinetok::RequestHead again = Read(std::string("GET /\r\n") + name + ":" + value + "\r\n\r\n");
      Require(again.done() ? again.Values(name) == std::vector{value} : again.long_header());
    }
  }
  for (const std::string& part : kinetok::ListParts(head.Values("connection"))) {
    Require(part.find(',') == std::string::npos);
  }
  return 0;
}
