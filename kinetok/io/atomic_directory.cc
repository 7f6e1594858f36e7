#include "kinetok/io/atomic_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "kinetok/base/error.h"
#include "kinetok/base/file.h"

namespace kinetok {
namespace {

namespace fs = std::filesystem;

// Without a trailing separator, through links: the name beside which another one is free to take.
fs::path Resolved(const fs::path& path) {
  std::error_code error;
  fs::path whole = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error || whole.filename().empty()) Fail("{}: is no name for a directory", path.string());
  return whole;
}

}  // namespace

AtomicDirectory::AtomicDirectory(const fs::path& target) : target_(Resolved(target)), temporary_(target_) {
  temporary_ += fmt::format(".tmp{}", getpid());
  std::error_code error;
  fs::remove_all(temporary_, error);  // of a process of this number that was killed
  fs::create_directories(temporary_, error);
  if (error) Fail("{}: the directory cannot be made: {}", target.string(), error.message());
}

AtomicDirectory::~AtomicDirectory() {
  std::error_code error;
  if (!temporary_.empty()) fs::remove_all(temporary_, error);
}

void AtomicDirectory::Commit() {
  SyncDirectory(temporary_);
  // The two names are exchanged in one step; what was there then has the temporary name.
  const bool exchanged = renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) == 0;
  // Without an old directory (or on a file system that cannot exchange: over an empty one) a plain rename does.
  if (!exchanged && std::rename(temporary_.c_str(), target_.c_str()) != 0) {
    Fail("{}: cannot be replaced: {}", target_.string(), std::strerror(errno));
  }
  SyncDirectory(target_.parent_path());
  if (!exchanged) temporary_.clear();
}

}  // namespace kinetok
