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

/// A name is on the disk once its folder is. Where folders cannot be flushed, nothing more can be done.
void flush_folder_of(const fs::path& path) {
  const int folder = ::open(path.has_parent_path() ? path.parent_path().c_str() : ".", O_RDONLY | O_CLOEXEC);
  if (folder < 0) return;
  ::fsync(folder);
  ::close(folder);
}

void make_folder_of(const fs::path& path) {
  std::error_code error;
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  if (error) throw_io(path, "its folder cannot be made: " + error.message());
  if (fs::is_directory(path, error)) throw_io(path, "it is a folder, a file name is needed");
}

}  // namespace

AtomicFile::AtomicFile(fs::path path)
    : path_(std::move(path)), unfinished_(path_.string() + ".unfinished-" + std::to_string(::getpid())) {
  make_folder_of(path_);
  descriptor_ = ::open(unfinished_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw_io(path_, std::strerror(errno));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!is_done_) ::unlink(unfinished_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) throw_io(path_, std::strerror(errno));
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) throw_io(path_, std::strerror(errno));
  if (::rename(unfinished_.c_str(), path_.c_str()) != 0) throw_io(path_, std::strerror(errno));
  is_done_ = true;
  flush_folder_of(path_);
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

void require_writable(const fs::path& path) {
  const AtomicFile probe(path);
}

}  // namespace kvevict
