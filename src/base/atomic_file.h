#pragma once

#include <filesystem>
#include <string_view>

namespace kvevict {

/// Replaces the file at `path` by `content` in one step: a reader, or a crash, finds the old file or
/// the new one, never a part. Makes missing folders. Errors: kIo, the old file is then as it was.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Makes the folder of `path` and checks that a file can be made there. Errors: kIo.
void require_writable(const std::filesystem::path& path);

}  // namespace kvevict
