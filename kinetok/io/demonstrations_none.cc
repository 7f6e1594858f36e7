// In place of demonstrations.cc and demonstrations_writer.cc where the HDF5 library is not installed.
#include "kinetok/base/error.h"
#include "kinetok/io/demonstrations.h"

namespace kinetok {
namespace {

[[noreturn]] void FailWithoutHdf5(const std::filesystem::path& path) {
  Fail("{}: this build reads and writes no HDF5; install libhdf5-dev and build again", path.string());
}

}  // namespace

struct DemonstrationFile::State {
  std::filesystem::path path;
  std::vector<DemonstrationInfo> infos;
  std::vector<double> actions;
};
struct DemonstrationWriter::State {};

bool HasHdf5() {
  return false;
}

DemonstrationFile::DemonstrationFile(const std::filesystem::path& path, std::string_view) {
  FailWithoutHdf5(path);
}
DemonstrationFile::~DemonstrationFile() = default;
DemonstrationFile::DemonstrationFile(DemonstrationFile&&) noexcept = default;
const std::filesystem::path& DemonstrationFile::path() const {
  return state_->path;
}
const std::vector<DemonstrationInfo>& DemonstrationFile::demonstrations() const {
  return state_->infos;
}
int64_t DemonstrationFile::Find(std::string_view) const {
  return -1;
}
int64_t DemonstrationFile::dimensions() const {
  return 0;
}
int DemonstrationFile::image_rotation() const {
  return 0;
}
const std::vector<double>& DemonstrationFile::Actions(int64_t) const {
  return state_->actions;
}
Image DemonstrationFile::ReadImage(int64_t, int64_t) const {
  return {};
}
Json DemonstrationFile::Attribute(int64_t, std::string_view) const {
  return nullptr;
}

DemonstrationWriter::DemonstrationWriter(const std::filesystem::path& path, const OrderedJson&, std::string_view) {
  FailWithoutHdf5(path);
}
DemonstrationWriter::~DemonstrationWriter() = default;
void DemonstrationWriter::Add(const Demonstration&) {}
void DemonstrationWriter::Finish() {}
int64_t DemonstrationWriter::written() const {
  return 0;
}

}  // namespace kinetok
