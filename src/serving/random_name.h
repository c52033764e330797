#pragma once

#include <string>

namespace kvevict::serving {

/// 16 hexadecimal digits that nobody else has.
[[nodiscard]] std::string random_name();

}  // namespace kvevict::serving
