#pragma once

namespace kvevict {

/// Processors that this process may really use: its affinity mask, cut by the control group's
/// quota where there is one. At least 1. More threads than this make decoding collapse.
[[nodiscard]] int usable_processors();

}  // namespace kvevict
