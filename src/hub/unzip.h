#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kvevict {

/// Unpacks every file of the ZIP archive whose name ends in `suffix` into `folder`, under its last name
/// (folders within the archive are left out, so nothing can land elsewhere). Each file appears whole or not
/// at all. Returns the names, sorted. Errors: kBadData (not a ZIP archive, damaged), kIo (a full disk).
std::vector<std::string> unzip_files(const std::filesystem::path& archive, const std::string& suffix,
                                     const std::filesystem::path& folder);

}  // namespace kvevict
