#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvevict/error.h"

namespace kvevict {
namespace {

/// Whether `path` still names the open file. Another process may have removed the name between our open and
/// our lock: a lock on a file without a name excludes nobody.
bool is_still_there(int descriptor, const std::filesystem::path& path) {
  struct stat ours {};
  struct stat named {};
  return ::fstat(descriptor, &ours) == 0 && ::stat(path.c_str(), &named) == 0 &&
         ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

}  // namespace

FileLock::FileLock(std::filesystem::path path) : path_(std::move(path)) {
  while (true) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0 || ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      if (descriptor_ >= 0) ::close(descriptor_);
      throw Error(ErrorCode::kIo,
                  "cannot lock " + path_.string() + ": is another process doing the same work on this file?");
    }
    if (is_still_there(descriptor_, path_)) return;
    ::close(descriptor_);
  }
}

FileLock::~FileLock() {
  // The name goes while the lock is held: whoever opened the file before finds it nameless and opens it anew.
  ::unlink(path_.c_str());
  ::close(descriptor_);
}

}  // namespace kvevict
