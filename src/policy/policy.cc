#include "kvevict/policy.h"

#include "kvevict/error.h"

namespace kvevict {

std::unique_ptr<PolicyMemory> Policy::load_memory(std::string_view /*text*/,
                                                  std::int64_t /*n_layers*/) const {
  throw Error(ErrorCode::kBadData,
              spec().name + " remembers nothing between plans, and a memory of it was saved");
}

void refuse_foreign_state() {
  throw Error(
      ErrorCode::kInvalidArgument,
      "a policy was given the state of another one: each sequence and policy needs a state of its own");
}

}  // namespace kvevict
