#include "archs/rows.h"

#include <utility>

#include "engine/session_snapshot.h"
#include "kvevict/error.h"

namespace kvevict::test {

std::optional<StateRows> rows_of(std::vector<std::uint8_t> state, const Model& model) {
  try {
    return StateRows(std::move(state), state_form_of(model.handle()));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnsupported) return std::nullopt;
    throw;
  }
}

std::optional<StateRows> rows_of(Session& session) {
  return rows_of(session.snapshot().cells, session.model());
}

}  // namespace kvevict::test
