#include "kinetok/base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "kinetok/base/error.h"

namespace kinetok {
namespace {

[[noreturn]] void FailErrno(const std::filesystem::path& path, std::string_view what) {
  Fail("{}: {}: {}", path.string(), what, std::strerror(errno));
}

// Opens an existing regular file for reading; a folder or a device is an error that says so.
int OpenForReading(const std::filesystem::path& path, size_t* size) {
  if (path.native().find('\0') != std::string::npos) Fail("{}: behind it the path holds a NUL", path.c_str());
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) FailErrno(path, "cannot be opened");
  struct stat info;
  const bool known = fstat(fd, &info) == 0;
  if (!known || !S_ISREG(info.st_mode)) {
    close(fd);
    Fail("{}: is {}, expected a regular file", path.string(),
         known && S_ISDIR(info.st_mode) ? "a folder" : "not a file");
  }
  *size = static_cast<size_t>(info.st_size);
  return fd;
}

}  // namespace

std::string ReadFile(const std::filesystem::path& path) {
  size_t size = 0;
  const int fd = OpenForReading(path, &size);
  std::string out(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = read(fd, out.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int saved = errno;
      close(fd);
      errno = saved;
      FailErrno(path, "cannot be read");
    }
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  close(fd);
  out.resize(done);
  return out;
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), target_(path_) {
  std::error_code ignored;
  if (std::filesystem::is_symlink(path_, ignored)) {
    std::error_code fault;  // of links that go in a circle
    const std::filesystem::path pointed_at = std::filesystem::weakly_canonical(path_, fault);
    if (!fault) target_ = pointed_at;
  }
  const std::filesystem::file_status now = std::filesystem::status(target_, ignored);
  if (std::filesystem::exists(now) && !std::filesystem::is_regular_file(now)) {
    Fail("{}: is {}, expected a regular file or a new one", path_.string(),
         std::filesystem::is_directory(now) ? "a folder" : "not a file");
  }
  temporary_ = target_;
  temporary_ += fmt::format(".tmp{}", getpid());
  fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) FailErrno(path_, "cannot be created");
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

void AtomicFile::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) FailErrno(path_, "cannot be written");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void AtomicFile::Write(std::string_view text) {
  Write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::Commit() {
  KINETOK_CHECK(fd_ >= 0);
  if (fsync(fd_) != 0) FailErrno(path_, "cannot be written to disk");
  if (close(std::exchange(fd_, -1)) != 0) {
    const int saved = errno;
    unlink(temporary_.c_str());
    errno = saved;
    FailErrno(path_, "cannot be closed");
  }
  if (rename(temporary_.c_str(), target_.c_str()) != 0) {
    const int saved = errno;
    unlink(temporary_.c_str());
    errno = saved;
    FailErrno(path_, "cannot be replaced");
  }
  SyncDirectory(target_.has_parent_path() ? target_.parent_path() : std::filesystem::path("."));
}

void WriteFileAtomically(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.Write(bytes);
  file.Commit();
}

void SyncDirectory(const std::filesystem::path& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) FailErrno(directory, "cannot be opened");
  const int result = fsync(fd);
  const int saved = errno;
  close(fd);
  errno = saved;
  if (result != 0 && errno != EINVAL) FailErrno(directory, "cannot be synced");
}

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
  const int fd = OpenForReading(path_, &size_);
  if (size_ > 0) {
    void* data = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int saved = errno;
    close(fd);
    errno = saved;
    if (data == MAP_FAILED) FailErrno(path_, "cannot be mapped");
    data_ = static_cast<const std::byte*>(data);
  } else {
    close(fd);
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::Drop(size_t offset, size_t length) const {
  if (data_ == nullptr || offset >= size_) return;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page;
  const size_t end = std::min(size_, offset + length) / page * page;
  if (begin < end) madvise(const_cast<std::byte*>(data_ + begin), end - begin, MADV_DONTNEED);
}

FileLock::FileLock(const std::filesystem::path& file) {
  fd_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) FailErrno(file, "cannot be opened");
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const bool taken = errno == EWOULDBLOCK;
    const int saved = errno;
    close(std::exchange(fd_, -1));
    errno = saved;
    if (taken) Fail("{}: another process holds this lock; wait for it or choose another folder", file.string());
    FailErrno(file, "cannot be locked");
  }
}

FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace kinetok
