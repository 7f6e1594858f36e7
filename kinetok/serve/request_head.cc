#include "kinetok/serve/request_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kinetok/base/json.h"

namespace kinetok {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// RFC 9110, 5.6.2.
bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return IsAlphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool IsControl(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

}  // namespace

std::string Quoted(std::string_view text) {
  return Shorten(Json(std::string(text)));
}

bool RequestHead::Refuse(std::string fault) {
  fault_ = std::move(fault);
  return false;
}

bool RequestHead::Take(char c) {
  if (!fault_.empty()) return false;
  if (cr_ != (c == '\n')) return Refuse("the request is not HTTP/1.1: a line of its head does not end with CR and LF");
  cr_ = c == '\r';
  if (c == '\n') return EndLine();
  if (cr_) return true;
  line_ += c;
  if (first_ || line_.size() <= kMaxHeader) return true;
  long_header_ = true;
  return Refuse(fmt::format("a header takes more than {} bytes", kMaxHeader));
}

bool RequestHead::EndLine() {
  std::string taken;
  taken.swap(line_);
  const std::string_view line = taken;
  if (std::exchange(first_, false)) return true;
  if (line.empty()) {
    done_ = true;
    return true;
  }
  const size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = line.substr(0, colon);
  if (colon == line.size() || !IsToken(name)) {
    return Refuse(fmt::format("a header is {}, expected a name, a colon right after it, and a value", Quoted(line)));
  }
  const std::string_view value = Trimmed(line.substr(colon + 1));
  if (std::ranges::any_of(value, IsControl)) {
    return Refuse(fmt::format("the header {} holds a control character", Quoted(name)));
  }
  headers_.emplace_back(Lower(name), value);
  return true;
}

std::vector<std::string> RequestHead::Values(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& [key, value] : headers_) {
    if (key == name) out.push_back(value);
  }
  return out;
}

std::vector<std::string> ListParts(const std::vector<std::string>& values) {
  std::vector<std::string> out;
  for (const std::string_view value : values) {
    for (size_t begin = 0; begin <= value.size();) {
      const size_t end = std::min(value.find(',', begin), value.size());
      out.push_back(Lower(Trimmed(value.substr(begin, end - begin))));
      begin = end + 1;
    }
  }
  return out;
}

}  // namespace kinetok
