#include "base/environment.h"

#include <cstdlib>

namespace kvevict {

std::string environment_variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace kvevict
