#pragma once

#include <filesystem>
#include <string>

namespace kvevict {

/// SHA-256 of the file's content, 64 lower-case hexadecimal digits. Errors: kIo.
[[nodiscard]] std::string file_sha256(const std::filesystem::path& path);

/// Git's blob id: SHA-1 of "blob <bytes>\0" and the content. Errors: kIo.
[[nodiscard]] std::string file_git_sha1(const std::filesystem::path& path);

}  // namespace kvevict
