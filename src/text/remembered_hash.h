#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace kvevict {

/// `sha256_of_files`, remembered in a file of `folder` for as long as none of `paths` changes: another
/// device, inode, size, or time of a change. An empty folder, or one that cannot be written, remembers
/// nothing; nor is remembered what changed in the last two seconds, within which a clock may not tell two
/// changes apart. Errors: kIo for a path that cannot be read. Thread safe, between processes too.
[[nodiscard]] std::string remembered_sha256(std::span<const std::filesystem::path> paths,
                                            const std::filesystem::path& folder);

}  // namespace kvevict
