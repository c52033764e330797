#include "kvevict/bounded_schedule.h"

#include <algorithm>
#include <string>

#include "kvevict/error.h"
#include "kvevict/simple_evict.h"

namespace kvevict {
namespace {

void require_in_range(const char* what, std::int64_t value, std::int64_t least) {
  if (value >= least && value <= kMaxTokens) return;
  throw Error(ErrorCode::kInvalidArgument, std::string(what) + " is " + std::to_string(value) +
                                               ": a number of tokens from " + std::to_string(least) + " to " +
                                               std::to_string(kMaxTokens) + " is needed");
}

}  // namespace

KeepPlan keep_before_chunk(const Policy& policy, PolicyState& state, const KeepPlan& held,
                           std::int64_t n_tokens_seen) {
  return held.intersect(policy.plan(n_tokens_seen, state));
}

void for_each_bounded_chunk(const Policy& policy, std::int64_t n_tokens, std::int64_t n_chunk,
                            std::int64_t n_layers, const std::function<void(const BoundedChunk&)>& visit) {
  require_in_range("total_len", n_tokens, 0);
  require_in_range("chunk", n_chunk, 1);
  if (policy.looks_into_cache()) {
    throw Error(ErrorCode::kUnsupported,
                policy.spec().name + " chooses by " +
                    (policy.score_request() ? "attention" : "the cached keys") +
                    ", which only a model that runs has: its schedule cannot be told beforehand");
  }
  PolicyState state{.schedule = Schedule::kStreaming, .n_layers = n_layers};
  BoundedChunk chunk;
  for (std::int64_t from = 0; from < n_tokens; from = chunk.tokens.end) {
    chunk.cached.append(chunk.tokens.begin, chunk.tokens.end);
    chunk.cached = keep_before_chunk(policy, state, chunk.cached, from);
    chunk.tokens = {from, std::min(from + n_chunk, n_tokens)};
    visit(chunk);
  }
}

std::int64_t count_kept_at_once(const Policy& policy, PolicyState& state, std::int64_t n_tokens) {
  if (policy.looks_into_cache()) return std::min(n_tokens, policy.budget_tokens(state).value_or(n_tokens));
  return policy.plan(n_tokens, state).count();
}

std::int64_t decode_slack(const Policy& policy, PositionMode positions, std::int64_t n_slack) noexcept {
  const bool is_dear =
      positions == PositionMode::kPacked || policy.is_per_layer() || policy.looks_into_cache();
  return is_dear ? n_slack : 0;
}

void require_bound(const Policy& policy, std::int64_t n_layers) {
  const PolicyState state{.schedule = Schedule::kStreaming, .n_layers = n_layers};
  if (policy.keeps_all() || policy.budget_tokens(state)) return;
  throw Error(ErrorCode::kInvalidArgument,
              policy.spec().name + " has no bound while tokens stream in: use it with a full prefill",
              "prefill");
}

}  // namespace kvevict
