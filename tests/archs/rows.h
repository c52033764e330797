#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/state_rows.h"
#include "kvevict/session.h"

namespace kvevict::test {

/// The K and V rows of a state of llama.cpp; nothing if it has another form than that of a plain cache.
[[nodiscard]] std::optional<StateRows> rows_of(std::vector<std::uint8_t> state, const Model& model);

/// Those of a session.
[[nodiscard]] std::optional<StateRows> rows_of(Session& session);

}  // namespace kvevict::test
