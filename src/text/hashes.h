#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace kvevict {

/// SHA-256 of what is added piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::string_view bytes);

  /// 64 lower-case hexadecimal digits. Nothing can be added afterwards.
  [[nodiscard]] std::string hex();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// SHA-256 as 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256_hex(std::string_view text);

/// SHA-256 of the contents of `paths`, one behind the other, as `cat` gives them. Errors: kIo.
[[nodiscard]] std::string sha256_of_files(std::span<const std::filesystem::path> paths);

/// SHA-256 of a file's content, read in pieces. Errors: kIo.
[[nodiscard]] std::string sha256_of_file(const std::filesystem::path& path);

/// Git's blob id: SHA-1 of "blob <bytes>\0" and the file's content. Errors: kIo.
[[nodiscard]] std::string git_sha1_of_file(const std::filesystem::path& path);

}  // namespace kvevict
