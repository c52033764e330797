#pragma once

#include <filesystem>
#include <string_view>

namespace kvevict {

/// A file that replaces the one at `path` in one step when it is complete: a reader, or a crash, finds the
/// old file or the new one, never a part. What is not committed is removed.
class AtomicFile {
 public:
  /// Makes missing folders. Errors: kIo.
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Errors: kIo (a full disk); the old file is then as it was.
  void write(std::string_view bytes);

  /// Flushes to the disk and takes the old file's place. Errors: kIo.
  void commit();

 private:
  std::filesystem::path path_, unfinished_;
  int descriptor_ = -1;
  bool is_done_ = false;
};

/// Replaces the file at `path` by `content` in one step, as AtomicFile does. Errors: kIo.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Makes the folder of `path` and checks that a file can be made there. Errors: kIo.
void require_writable(const std::filesystem::path& path);

}  // namespace kvevict
