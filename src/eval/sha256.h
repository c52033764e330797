#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace kvevict {

/// SHA-256 as 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256_hex(std::string_view text);

/// SHA-256 of a file's content, read in pieces. Errors: kIo.
[[nodiscard]] std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace kvevict
