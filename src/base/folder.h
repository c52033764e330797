#pragma once

#include <filesystem>
#include <vector>

namespace kvevict {

/// The entries of `folder`, sorted by name; with `with_subfolders` those of its folders too. Nothing if there
/// is no such folder, and what was read before an entry that cannot be read. Never throws a filesystem error:
/// the loops of std::filesystem do, at any step.
[[nodiscard]] std::vector<std::filesystem::directory_entry> entries_of(const std::filesystem::path& folder,
                                                                       bool with_subfolders = false);

}  // namespace kvevict
