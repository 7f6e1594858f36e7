// Files of demonstrations that several sources of examples read: each is opened and checked once.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "kinetok/io/demonstrations.h"

namespace kinetok {

class DemonstrationFiles {
 public:
  explicit DemonstrationFiles(std::string_view camera = kDefaultCamera) : camera_(camera) {}

  // The same object for the same file, however its path is spelled. Throws what DemonstrationFile throws. One thread at
  // a time.
  std::shared_ptr<const DemonstrationFile> Open(const std::filesystem::path& path);

 private:
  std::string camera_;
  std::map<std::filesystem::path, std::shared_ptr<const DemonstrationFile>> files_{};
};

}  // namespace kinetok
