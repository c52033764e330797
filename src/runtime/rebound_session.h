#pragma once

#include <memory>

#include "kvevict/session.h"

namespace kvevict {

/// A copy of `session` in a context of its own, for which `policy` decides from now on, with a memory that
/// begins here; it holds the same tokens at the same positions. For what no fork can do: a session of a model
/// whose windows slide, or one that was just loaded. Cost: two copies of the rows. Errors: those of
/// `Session::snapshot` and `Session::restore`.
[[nodiscard]] Session rebound_copy(Session& session, std::shared_ptr<const Model> model,
                                   std::shared_ptr<const Policy> policy);

}  // namespace kvevict
