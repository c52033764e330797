#include "experiments/shared_prefill.h"

#include <algorithm>

#include "engine/trained_context.h"
#include "kvevict/policy.h"

namespace kvevict::eval {
namespace {

SessionOptions trunk_options(SessionOptions options, int n_most_sessions) {
  options.n_sequences = n_most_sessions + 1;  // the trunk is one
  options.prefill = PrefillMode::kFull;       // each session evicts by its own policy, from the whole prompt
  if (options.positions == PositionMode::kPacked)
    options.positions = PositionMode::kAbsolute;  // the same, before any eviction
  return options;
}

}  // namespace

SharedPrefill::SharedPrefill(std::shared_ptr<const Model> model, SessionOptions options, int n_most_sessions)
    : model_(std::move(model)),
      options_(trunk_options(options, n_most_sessions)),
      trunk_(model_, make_policy("full"), options_) {}

std::int64_t SharedPrefill::prefill(std::span<const Token> tokens, std::int64_t n_reserve) {
  const auto n = static_cast<std::int64_t>(tokens.size());
  if (std::ranges::equal(tokens, tokens_)) return n;  // with the logits behind it
  const auto mismatch = std::mismatch(tokens.begin(), tokens.end(), tokens_.begin(), tokens_.end()).first;
  // The last token is decoded in any case: its logits are what the answers begin with.
  // So are those whose attention is recorded.
  const std::int64_t n_new = std::max<std::int64_t>(1, options_.n_recorded_queries);
  const std::int64_t n_common = std::min<std::int64_t>(mismatch - tokens.begin(), n - n_new);
  const std::int64_t n_batch = std::min(options_.n_batch, options_.n_ubatch);
  // Whole batches: the last bits of a row depend on the batch that it was computed in, and the batches must
  // be those of a prompt that began with an empty cache.
  const std::int64_t n_reused = std::max<std::int64_t>(n_common / n_batch * n_batch, 0);
  if (n_reused == 0) {
    trunk_.clear();
  } else {
    trunk_.trim(n_reused);
  }
  tokens_.clear();  // an error may leave a part of the prompt in the cache: the next one then begins anew
  const std::int64_t n_trained = context_limit(*model_);
  const std::int64_t n_wanted = n - n_reused + n_reserve;
  // Room for the answers is wished for, not needed. All answers together may pass the trained context, which
  // `reserve` refuses, while each session stays within it.
  trunk_.reserve(n_trained > 0 ? std::max(n - n_reused, std::min(n_wanted, n_trained - n_reused)) : n_wanted);
  trunk_.append(tokens.subspan(static_cast<std::size_t>(n_reused)));
  tokens_.assign(tokens.begin(), tokens.end());
  return n_reused;
}

Session SharedPrefill::session(std::shared_ptr<const Policy> policy) {
  Session session = trunk_.fork(std::move(policy));
  // Packing rotates keys, which others must not share: it gets its own context before, not in the middle of,
  // its eviction.
  if (session.options().positions == PositionMode::kPacked) session.detach();
  return session;
}

}  // namespace kvevict::eval
