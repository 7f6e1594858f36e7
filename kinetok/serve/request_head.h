// The head of a request as it arrives, byte by byte: where a body ends must not depend on who reads it, so what RFC
// 9112 (sections 2.2, 5) does not allow is refused before the HTTP library, which overlooks it, makes something of it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kinetok {

class RequestHead {
 public:
  static constexpr size_t kMaxHeader = 8192;  // bytes of one line

  // One byte more. False at the first one that may not stand there, and from then on: see fault().
  bool Take(char c);
  // The empty line has been taken; what follows is no head.
  bool done() const { return done_; }
  bool long_header() const { return long_header_; }
  const std::string& fault() const { return fault_; }  // in words; empty without one

  // Of the headers of this name, in lower case: as they came, without the space around them.
  std::vector<std::string> Values(std::string_view name) const;

 private:
  bool EndLine();
  bool Refuse(std::string fault);

  std::string line_, fault_;
  std::vector<std::pair<std::string, std::string>> headers_;  // names in lower case
  bool first_ = true, cr_ = false, done_ = false, long_header_ = false;
};

// What a client sent, as an error shows it: in quotes, cut short.
std::string Quoted(std::string_view text);

// The parts of a comma-separated header such as Connection, in lower case.
std::vector<std::string> ListParts(const std::vector<std::string>& values);

}  // namespace kinetok
