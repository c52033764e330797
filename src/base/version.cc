#include "kvevict/version.h"

namespace kvevict {

const char* version() noexcept {
  return KVEVICT_VERSION;
}

}  // namespace kvevict
