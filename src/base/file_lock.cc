#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

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

int operation_of(FileLock::Kind kind) {
  if (kind == FileLock::Kind::kWhenFree) return LOCK_EX;
  return LOCK_NB | (kind == FileLock::Kind::kShared ? LOCK_SH : LOCK_EX);
}

/// As flock does, but a signal does not end it.
bool set_lock(int descriptor, int operation) {
  while (::flock(descriptor, operation) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

}  // namespace

FileLock::FileLock(std::filesystem::path path, Kind kind) : path_(std::move(path)) {
  while (true) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0 || !set_lock(descriptor_, operation_of(kind))) {
      if (descriptor_ >= 0) ::close(descriptor_);
      refuse();
    }
    if (is_still_there(descriptor_, path_)) return;
    ::close(descriptor_);
  }
}

FileLock::~FileLock() {
  // The name goes while the lock is held alone: whoever opened the file before finds it nameless and opens it
  // anew. Others that share it keep the name: a new lock must meet theirs.
  if (set_lock(descriptor_, LOCK_EX | LOCK_NB) && is_still_there(descriptor_, path_)) ::unlink(path_.c_str());
  ::close(descriptor_);
}

void FileLock::share() {
  if (!set_lock(descriptor_, LOCK_SH)) refuse();
}

void FileLock::refuse() const {
  throw Error(ErrorCode::kIo,
              "cannot lock " + path_.string() + ": is another process doing the same work on this file?");
}

}  // namespace kvevict
