// Files: read whole or mapped; written whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace kinetok {

// The whole file as bytes. Throws Error naming the file and the reason.
std::string ReadFile(const std::filesystem::path& path);

// A file under a temporary name beside `path` that takes its name only when Commit succeeds (fsync, rename, fsync of
// the folder). Without Commit it is removed. Where `path` is a link, what it points at is replaced. Throws Error naming
// the file on every failure, a full disk included, and when `path` is a folder or a device.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(std::span<const std::byte> bytes);
  void Write(std::string_view text);
  void Commit();
  const std::filesystem::path& temporary() const { return temporary_; }  // for libraries that write by name

 private:
  std::filesystem::path path_, target_, temporary_;
  int fd_ = -1;
};

void WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes);

// fsync of a folder, so that renames inside it survive a power cut.
void SyncDirectory(const std::filesystem::path& directory);

// A read-only private mapping of a file. The file may not be empty-checked by callers: size() is 0 then.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(std::filesystem::path path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  size_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }

  // Tells the kernel that this part will not be read again (its pages are dropped from memory).
  void Drop(size_t offset, size_t length) const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// An exclusive advisory lock (flock) on `file`, created when absent, held for the object's life. Throws Error that says
// who else may be using it when it is taken.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& file);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace kinetok
