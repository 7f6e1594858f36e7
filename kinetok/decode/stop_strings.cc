#include "kinetok/decode/stop_strings.h"

#include <algorithm>
#include <utility>

#include "kinetok/base/error.h"

namespace kinetok {

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) {
    if (stop.empty()) Fail("stop is \"\"; it must not be empty");
  }
}

std::string StopStrings::Push(std::string_view piece) {
  if (matched_) return "";
  if (stops_.empty()) return std::string(piece);
  std::string out;
  for (char byte : piece) {
    held_.push_back(byte);
    size_t length = 0;
    for (const std::string& stop : stops_) {
      if (stop.size() > length && held_.ends_with(stop)) length = stop.size();
    }
    if (length > 0) {
      matched_ = true;
      out.append(held_, 0, held_.size() - length);
      held_.clear();
      return out;
    }
    const size_t certain = PossibleStart();
    out.append(held_, 0, certain);
    held_.erase(0, certain);
  }
  return out;
}

std::string StopStrings::Finish() {
  return std::exchange(held_, {});
}

// The first place of the held text from which its rest is the beginning of a stop string.
size_t StopStrings::PossibleStart() const {
  for (size_t start = 0; start < held_.size(); ++start) {
    const std::string_view rest = std::string_view(held_).substr(start);
    if (std::any_of(stops_.begin(), stops_.end(), [&](const std::string& stop) { return stop.starts_with(rest); })) {
      return start;
    }
  }
  return held_.size();
}

}  // namespace kinetok
