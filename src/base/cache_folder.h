#pragma once

#include <filesystem>

namespace kvevict {

/// This user's cache folder for kvevict: `$XDG_CACHE_HOME/kvevict`, else `$HOME/.cache/kvevict`; empty
/// without either.
[[nodiscard]] std::filesystem::path cache_folder();

}  // namespace kvevict
