#include "base/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "kvevict/error.h"

namespace kvevict {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void throw_io(const fs::path& path, const std::string& what) {
  throw Error(ErrorCode::kIo, "cannot write " + path.string() + ": " + what);
}

/// A file descriptor that closes itself; a file that is not `done` is removed.
class UnfinishedFile {
 public:
  explicit UnfinishedFile(fs::path path) : path_(std::move(path)) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor_ < 0) throw_io(path_, std::strerror(errno));
  }
  ~UnfinishedFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!is_done_) ::unlink(path_.c_str());
  }
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;

  void write(std::string_view content) {
    while (!content.empty()) {
      const ssize_t n = ::write(descriptor_, content.data(), content.size());
      if (n < 0 && errno != EINTR) throw_io(path_, std::strerror(errno));
      if (n > 0) content.remove_prefix(static_cast<std::size_t>(n));
    }
    if (::fsync(descriptor_) != 0) throw_io(path_, std::strerror(errno));
  }

  void rename_to(const fs::path& target) {
    if (::rename(path_.c_str(), target.c_str()) != 0) throw_io(target, std::strerror(errno));
    is_done_ = true;
  }

 private:
  fs::path path_;
  int descriptor_ = -1;
  bool is_done_ = false;
};

fs::path unfinished_name(const fs::path& path) {
  return path.string() + ".unfinished-" + std::to_string(::getpid());
}

void make_folder_of(const fs::path& path) {
  std::error_code error;
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  if (error) throw_io(path, "its folder cannot be made: " + error.message());
  if (fs::is_directory(path, error)) throw_io(path, "it is a folder, a file name is needed");
}

}  // namespace

void write_file_atomically(const fs::path& path, std::string_view content) {
  make_folder_of(path);
  UnfinishedFile file(unfinished_name(path));
  file.write(content);
  file.rename_to(path);
}

void require_writable(const fs::path& path) {
  make_folder_of(path);
  const UnfinishedFile probe(unfinished_name(path));
}

}  // namespace kvevict
