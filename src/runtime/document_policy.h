#pragma once

#include <cstdint>
#include <memory>

#include "kvevict/policy.h"

namespace kvevict {

/// The policy of a conversation about a document: what was kept of the document stays as it is, like a sink,
/// and behind it a recent window of `n_turn_tokens` tokens of what was said slides on. `kept` are original
/// indices below `n_document`, the last one in every layer. It goes by the name of the strategy
/// sink_recent:<tokens kept>:<n_turn_tokens>, which a saved session can name; whoever loads one binds it to
/// this policy again. Errors: kInvalidArgument for a window below 1 or above kMaxTokens.
[[nodiscard]] std::shared_ptr<const Policy> make_document_policy(KeepPlan kept, std::int64_t n_document,
                                                                 std::int64_t n_turn_tokens);

}  // namespace kvevict
