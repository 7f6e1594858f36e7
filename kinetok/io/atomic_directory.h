// A directory that is written whole or not at all.
#pragma once

#include <filesystem>

namespace kinetok {

// A folder under a temporary name beside `target` that takes its name when Commit succeeds, in place of what was there.
// Without Commit it is removed with all that it holds, and `target` is as before.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(const std::filesystem::path& target);  // throws Error naming it when it cannot be made
  ~AtomicDirectory();
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  const std::filesystem::path& path() const { return temporary_; }  // where to write
  void Commit();

 private:
  std::filesystem::path target_, temporary_;
};

}  // namespace kinetok
