#include "kinetok/io/demonstration_files.h"

namespace kinetok {

std::shared_ptr<const DemonstrationFile> DemonstrationFiles::Open(const std::filesystem::path& path) {
  auto& file = files_[std::filesystem::weakly_canonical(path)];
  if (!file) file = std::make_shared<DemonstrationFile>(path, camera_);
  return file;
}

}  // namespace kinetok
