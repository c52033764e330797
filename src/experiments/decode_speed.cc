#include "experiments/decode_speed.h"

#include <algorithm>

#include "base/stopwatch.h"
#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

const AppendOptions kInFull{.prefill = PrefillMode::kFull};

/// Appends the likeliest token `n_new` times; `evicts`: making room by the session's policy, as an answer
/// does.
DecodeSpeed decode(Session& session, std::int64_t n_new, bool evicts) {
  DecodeSpeed speed{.n_tokens_held = session.stats().n_tokens_held, .kv_bytes = session.stats().kv_bytes};
  const Stopwatch watch;
  for (std::int64_t i = 0; i < n_new; ++i) {
    const std::span<const float> logits = session.logits();
    const auto token = static_cast<Token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    if (evicts) session.make_room();
    session.append({&token, 1}, kInFull);
  }
  speed.tokens_per_second = static_cast<double>(n_new) / watch.seconds();
  return speed;
}

}  // namespace

DecodeSpeeds compare_decode_speed(const ModelRun& run, std::span<const Token> prompt, std::int64_t n_new,
                                  const std::function<void(std::int64_t)>& on_progress) {
  if (prompt.size() < 2 || n_new < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "a prompt of 2 or more tokens and 1 or more tokens to decode are needed");
  }
  DecodeSpeeds speeds;
  Session session(run.model, run.policy, run.options);
  const auto n_prompt = static_cast<std::int64_t>(prompt.size());
  Stopwatch watch;
  session.reserve(n_prompt + n_new);
  const auto n_step = static_cast<std::size_t>(session.options().n_batch);
  for (std::size_t from = 0; from < prompt.size(); from += n_step) {
    session.append(prompt.subspan(from, std::min(n_step, prompt.size() - from)), kInFull);
    if (on_progress) on_progress(static_cast<std::int64_t>(std::min(from + n_step, prompt.size())));
  }
  speeds.seconds_prefill = watch.seconds();
  speeds.full = decode(session, n_new, false);

  session.trim(n_prompt - 1);
  watch.restart();
  static_cast<void>(session.evict({.n_upcoming = 1, .n_reserve = n_new}));
  speeds.seconds_eviction = watch.seconds();
  session.append(prompt.last(1), kInFull);
  speeds.evicted = decode(session, n_new, true);
  return speeds;
}

}  // namespace kvevict::eval
