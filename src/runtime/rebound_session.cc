#include "runtime/rebound_session.h"

#include <utility>

#include "engine/session_snapshot.h"

namespace kvevict {

Session rebound_copy(Session& session, std::shared_ptr<const Model> model,
                     std::shared_ptr<const Policy> policy) {
  SessionSnapshot snapshot = session.snapshot();
  snapshot.strategy = to_string(policy->spec());
  snapshot.policy = policy->versioned_name();
  snapshot.policy_state = {.n_layers = model->info().n_cache_layers()};
  return Session::restore(std::move(model), std::move(policy), session.options(), snapshot);
}

}  // namespace kvevict
