#pragma once

#include <filesystem>

namespace kvevict {

/// Keeps other processes from doing the same work at the same time. The lock ends with the object, and with
/// the process however that ends.
class FileLock {
 public:
  /// Makes the file `path` and locks it. Errors: kIo if another process holds the lock, or the file cannot be
  /// made.
  explicit FileLock(std::filesystem::path path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace kvevict
