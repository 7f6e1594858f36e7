// Finds the first stop string in a text that arrives in pieces, and holds back what may still become one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kinetok {

class StopStrings {
 public:
  // Throws Error when one is empty.
  explicit StopStrings(std::vector<std::string> stops);

  // The text that is certain to come before any stop string. The first stop string that is complete ends it (the
  // longest when several end there): matched() is true from then on, and nothing more comes out. The result depends on
  // the text alone, not on its pieces.
  std::string Push(std::string_view piece);
  // The text held back, which no stop string claimed.
  std::string Finish();
  bool matched() const { return matched_; }

 private:
  size_t PossibleStart() const;
  std::vector<std::string> stops_;
  std::string held_;
  bool matched_ = false;
};

}  // namespace kinetok
