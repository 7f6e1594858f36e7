// Handles of the HDF5 library that close themselves, and the lock that its calls need. Internal to io/.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <utility>

namespace kinetok::hdf5 {

// One at a time in the whole process: Debian's build of the library is not thread-safe. Its own messages on stderr are
// off while the lock is held.
class Lock {
 public:
  Lock() : held_(Mutex()) {
    // The library's own clean-up at exit crashes on a file that could not be closed, on a full disk; whatever is open
    // here is closed by its Handle.
    static const bool once = H5dont_atexit() >= 0;
    static_cast<void>(once);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }

 private:
  static std::mutex& Mutex() {
    static std::mutex mutex;
    return mutex;
  }
  std::lock_guard<std::mutex> held_;
};

class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  ~Handle() { Reset(); }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    Reset();
    id_ = std::exchange(other.id_, -1);
    close_ = other.close_;
    return *this;
  }

  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  // Whether closing went well: what was written reaches the file only then.
  bool Reset() { return id_ < 0 || close_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

}  // namespace kinetok::hdf5
