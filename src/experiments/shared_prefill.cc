#include "experiments/shared_prefill.h"

#include <algorithm>

#include "engine/session_snapshot.h"

namespace kvevict::eval {
namespace {

SessionOptions trunk_options(SessionOptions options, int n_most_sessions) {
  options.n_sequences = n_most_sessions + 1;
  if (options.positions == PositionMode::kPacked)
    options.positions = PositionMode::kAbsolute;  // the same, before any eviction
  return options;
}

}  // namespace

SharedPrefill::SharedPrefill(std::shared_ptr<const Model> model, SessionOptions options, int n_most_sessions)
    : model_(std::move(model)), options_(trunk_options(options, n_most_sessions)), trunk_(model_, options_) {}

std::int64_t SharedPrefill::prefill(std::span<const Token> tokens, std::int64_t n_reserve) {
  const auto n = static_cast<std::int64_t>(tokens.size());
  const auto mismatch = std::mismatch(tokens.begin(), tokens.end(), tokens_.begin(), tokens_.end()).first;
  const std::int64_t n_common = std::min<std::int64_t>(mismatch - tokens.begin(), n - 1);
  const std::int64_t n_batch = std::min(options_.n_batch, options_.n_ubatch);
  const std::int64_t n_reused = std::max<std::int64_t>(n_common / n_batch * n_batch, 0);
  if (n_reused == 0) {
    trunk_.clear();
  } else {
    trunk_.trim(n_reused);
  }
  tokens_.clear();  // in case of an error
  const std::int64_t n_trained = model_->info().n_context_trained;
  const std::int64_t n_wanted = n - n_reused + n_reserve;
  trunk_.reserve(n_trained > 0 ? std::max(n - n_reused, std::min(n_wanted, n_trained - n_reused)) : n_wanted);
  trunk_.append(tokens.subspan(static_cast<std::size_t>(n_reused)));
  tokens_.assign(tokens.begin(), tokens.end());
  return n_reused;
}

Session SharedPrefill::session(PositionMode positions) {
  if (positions != PositionMode::kPacked) return trunk_.fork();
  SessionOptions options = options_;
  options.n_sequences = 1;
  options.positions = positions;
  SessionSnapshot snapshot = trunk_.snapshot();
  snapshot.positions = positions;
  return Session::restore(model_, options, snapshot);
}

}  // namespace kvevict::eval
