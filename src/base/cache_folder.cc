#include "base/cache_folder.h"

#include "base/environment.h"

namespace kvevict {

std::filesystem::path cache_folder() {
  const std::filesystem::path xdg = environment_variable("XDG_CACHE_HOME");
  if (xdg.is_absolute()) return xdg / "kvevict";
  const std::filesystem::path home = environment_variable("HOME");
  return home.empty() ? std::filesystem::path() : home / ".cache" / "kvevict";
}

}  // namespace kvevict
