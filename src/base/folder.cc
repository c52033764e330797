#include "base/folder.h"

#include <algorithm>

namespace kvevict {
namespace fs = std::filesystem;
namespace {

template <typename Iterator>
std::vector<fs::directory_entry> read_all(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  for (Iterator at(folder, error), end; !error && at != end; at.increment(error)) entries.push_back(*at);
  std::sort(entries.begin(), entries.end());
  return entries;
}

}  // namespace

std::vector<fs::directory_entry> entries_of(const fs::path& folder, bool with_subfolders) {
  return with_subfolders ? read_all<fs::recursive_directory_iterator>(folder)
                         : read_all<fs::directory_iterator>(folder);
}

}  // namespace kvevict
