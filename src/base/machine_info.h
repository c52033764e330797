#pragma once

#include <map>
#include <string>

namespace kvevict {

/// The machine in words, for results: "cpu", "processors", "memory_gib", "system". No host name.
[[nodiscard]] std::map<std::string, std::string> machine_info();

/// Now, as "2026-01-31T12:34:56Z".
[[nodiscard]] std::string utc_now();

}  // namespace kvevict
