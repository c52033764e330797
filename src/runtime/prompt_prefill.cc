#include "runtime/prompt_prefill.h"

#include <string>

#include "base/stopwatch.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

/// Whether `policy` keeps all of a prompt of `n_tokens` tokens.
bool keeps_all(const Policy& policy, const Model& model, std::int64_t n_tokens) {
  PolicyState state{.n_layers = model.info().n_layers};
  return count_kept_at_once(policy, state, n_tokens) == n_tokens;
}

void require_trained_context(const Model& model, std::int64_t n_needed) {
  const std::int64_t n_trained = model.info().n_context_trained;
  if (n_trained == 0 || n_needed <= n_trained) return;
  throw Error(ErrorCode::kInvalidArgument, "a full prefill would hold " + std::to_string(n_needed) +
                                               " tokens, but " + model.info().name +
                                               " was trained on contexts of " + std::to_string(n_trained) +
                                               ": use --prefill bounded with a strategy that evicts, which "
                                               "never holds more than its budget and one chunk");
}

PrefillReport prefill_in_full(Session& session, const Policy& policy, std::span<const Token> prompt,
                              const PrefillSettings& settings) {
  PrefillReport report;
  session.make_room(policy, 0);  // refuses what this session cannot do before the prompt is paid for
  const auto n_prompt = static_cast<std::int64_t>(prompt.size());
  const std::int64_t n_first = n_prompt - settings.n_after_eviction;
  const SessionStats before = session.stats();
  const std::int64_t n_needed = keeps_all(policy, session.model(), before.n_tokens_seen + n_prompt)
                                    ? n_prompt + settings.n_new_tokens
                                    : n_first;
  require_trained_context(session.model(), before.n_tokens_held + n_needed);
  Stopwatch watch;
  session.reserve(n_needed);
  session.append(prompt.first(static_cast<std::size_t>(n_first)));
  report.seconds_prefill = watch.seconds();

  watch.restart();
  report.kept =
      session.evict(policy, {.n_upcoming = settings.n_after_eviction, .n_reserve = settings.n_new_tokens})
          .kept;
  report.seconds_eviction = watch.seconds();
  report.kv_bytes_after_eviction = session.stats().kv_bytes;

  watch.restart();
  session.append(prompt.subspan(static_cast<std::size_t>(n_first)));
  report.seconds_last = watch.seconds();
  return report;
}

}  // namespace

PrefillReport prefill_prompt(Session& session, std::shared_ptr<const Policy> policy,
                             std::span<const Token> prompt, const PrefillSettings& settings) {
  if (prompt.empty())
    throw Error(ErrorCode::kInvalidArgument, "the prompt is empty: there is nothing to go on from");
  if (settings.mode == PrefillMode::kFull) return prefill_in_full(session, *policy, prompt, settings);
  PrefillReport report;
  if (session.stats().n_tokens_seen == 0)
    session.make_room(*policy, 0);  // checks what the session can do before the clock runs
  const Stopwatch watch;
  session.append(prompt, {.policy = std::move(policy)});
  report.seconds_prefill = watch.seconds();
  report.kept = session.held_by_layer();
  report.kv_bytes_after_eviction = session.stats().kv_bytes;
  return report;
}

}  // namespace kvevict
