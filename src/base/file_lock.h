#pragma once

#include <filesystem>

namespace kvevict {

/// Keeps other processes from doing the same work at the same time. The lock ends with the object, and with
/// the process however that ends.
class FileLock {
 public:
  enum class Kind {
    kAlone,     ///< Nobody else has it.
    kShared,    ///< Others may have it, too, but none of them alone.
    kWhenFree,  ///< As kAlone, but waits for the others: for work that is soon done.
  };

  /// Makes the file `path` and locks it. Errors: kIo if another process holds a lock that excludes this one,
  /// or the file cannot be made.
  explicit FileLock(std::filesystem::path path, Kind kind = Kind::kAlone);

  /// Removes the file, unless others share it.
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  /// From now on others may share it. They may have it alone for a moment before this returns. Errors: kIo.
  void share();

 private:
  [[noreturn]] void refuse() const;

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace kvevict
