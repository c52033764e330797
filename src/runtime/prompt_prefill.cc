#include "runtime/prompt_prefill.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/stopwatch.h"
#include "engine/cell_needs.h"
#include "engine/trained_context.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

/// Whether `policy` keeps all of a prompt of `n_tokens` tokens.
bool keeps_all(const Policy& policy, const Model& model, std::int64_t n_tokens) {
  PolicyState state{.n_layers = model.info().n_cache_layers()};
  return count_kept_at_once(policy, state, n_tokens) == n_tokens;
}

/// Tokens to make room for if all of the prompt stays: those of the answer too, as far as the policy lets
/// the cache grow.
std::int64_t room_if_all_stay(const Session& session, std::int64_t n_prompt, std::int64_t n_new) {
  const SessionStats stats = session.stats();
  if (stats.n_tokens_held < stats.n_tokens_seen) return n_prompt + n_new;
  const SessionOptions& options = session.options();
  const std::int64_t n_slack = decode_slack(session.policy(), *options.positions, options.n_decode_slack);
  return cells_before_eviction(session.policy(), session.model().info().n_cache_layers(), n_slack,
                               stats.n_tokens_held + n_prompt, n_new) -
         stats.n_tokens_held;
}

void require_trained_context(const Model& model, std::int64_t n_needed) {
  const std::int64_t n_trained = context_limit(model);
  if (n_trained == 0 || n_needed <= n_trained) return;
  throw Error(ErrorCode::kInvalidArgument,
              "a full prefill would hold " + std::to_string(n_needed) + " tokens, but " + model.info().name +
                  " was trained on contexts of " + std::to_string(n_trained) +
                  ": use a bounded prefill with a strategy that evicts, which "
                  "never holds more than its budget and one chunk",
              "prefill");
}

/// So that an answer is refused before the prompt has been computed, not in its midst.
void require_positions(const Session& session, std::int64_t n_prompt, std::int64_t n_new) {
  const std::int64_t n_appended = std::max<std::int64_t>(n_new - 1, 0);  // the last token never is
  require_trained_positions(session.model(), session.options(),
                            session.stats().n_tokens_seen + n_prompt + n_appended);
}

/// Appends `tokens` in whole batches or chunks, as one call would, telling `settings.on_progress` of each.
/// `n_to_come`: tokens behind them, if that is known.
void append_in_steps(Session& session, std::span<const Token> tokens, std::optional<std::int64_t> n_to_come,
                     const PrefillSettings& settings) {
  const SessionOptions& options = session.options();
  const auto n_step =
      static_cast<std::size_t>(options.prefill == PrefillMode::kBounded ? options.n_chunk : options.n_batch);
  for (std::size_t from = 0; from < tokens.size();) {
    const std::size_t n = settings.on_progress ? std::min(n_step, tokens.size() - from) : tokens.size();
    const auto n_left = static_cast<std::int64_t>(tokens.size() - from - n);
    session.append(tokens.subspan(from, n),
                   {.n_to_come = n_to_come ? std::optional(*n_to_come + n_left) : std::nullopt});
    from += n;
    if (settings.on_progress) settings.on_progress(static_cast<std::int64_t>(from));
  }
}

/// Room for what comes on top of the budget, which an eviction leaves none for.
void make_room_on_top(Session& session, const PrefillSettings& settings) {
  session.reserve(settings.n_held_back + settings.n_new_tokens);
}

PrefillReport prefill_in_full(Session& session, std::span<const Token> prompt,
                              const PrefillSettings& settings) {
  PrefillReport report;
  const auto n_prompt = static_cast<std::int64_t>(prompt.size());
  const bool holds_back = settings.n_held_back > 0;
  const std::int64_t n_first = n_prompt - (holds_back ? settings.n_held_back : settings.n_after_eviction);
  const std::int64_t n_planned = holds_back ? n_first : n_prompt;
  const SessionStats before = session.stats();
  std::int64_t n_needed = n_first;
  if (keeps_all(session.policy(), session.model(), before.n_tokens_seen + n_planned)) {
    n_needed = holds_back ? n_prompt + settings.n_new_tokens
                          : room_if_all_stay(session, n_prompt, settings.n_new_tokens);
  }
  require_trained_context(session.model(), before.n_tokens_held + n_needed);
  require_positions(session, n_prompt, settings.n_new_tokens);
  Stopwatch watch;
  session.reserve(n_needed);
  append_in_steps(session, prompt.first(static_cast<std::size_t>(n_first)), std::nullopt, settings);
  report.seconds_prefill = watch.seconds();

  if (settings.on_filled) settings.on_filled();
  watch.restart();
  EvictionReport eviction = session.evict(
      {.n_upcoming = n_planned - n_first, .n_reserve = n_prompt - n_planned + settings.n_new_tokens});
  if (holds_back) make_room_on_top(session, settings);
  report.seconds_eviction = watch.seconds();
  report.kept = std::move(eviction.kept);
  report.seconds_plan = eviction.seconds_plan;
  report.seconds_move = eviction.seconds_move;
  report.kv_bytes_after_eviction = session.stats().kv_bytes;
  if (holds_back) report.kept.append(before.n_tokens_seen + n_first, before.n_tokens_seen + n_prompt);

  watch.restart();
  session.append(prompt.subspan(static_cast<std::size_t>(n_first)));
  report.seconds_last = watch.seconds();
  return report;
}

}  // namespace

PrefillReport prefill_prompt(Session& session, std::span<const Token> prompt,
                             const PrefillSettings& settings) {
  if (prompt.empty())
    throw Error(ErrorCode::kInvalidArgument, "the prompt is empty: there is nothing to go on from");
  if (session.options().prefill == PrefillMode::kFull) return prefill_in_full(session, prompt, settings);
  require_positions(session, static_cast<std::int64_t>(prompt.size()), settings.n_new_tokens);
  PrefillReport report;
  const std::int64_t n_more = settings.n_held_back + settings.n_new_tokens;
  const auto n_first = prompt.size() - static_cast<std::size_t>(settings.n_held_back);
  Stopwatch watch;
  append_in_steps(session, prompt.first(n_first), settings.is_last ? std::optional(n_more) : std::nullopt,
                  settings);
  report.seconds_prefill = watch.seconds();
  if (settings.n_held_back > 0) {  // the last chunk, too, leaves no more than the budget
    watch.restart();
    session.evict({.n_reserve = n_more});
    make_room_on_top(session, settings);
    report.seconds_eviction = watch.seconds();
  }
  report.kv_bytes_after_eviction = session.stats().kv_bytes;
  watch.restart();
  session.append(prompt.subspan(n_first), {.prefill = PrefillMode::kFull});
  report.seconds_last = watch.seconds();
  report.kept = session.held_by_layer();
  return report;
}

}  // namespace kvevict
