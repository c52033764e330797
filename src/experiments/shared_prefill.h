#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kvevict/session.h"

namespace kvevict::eval {

/// A prompt in a cache from which several sessions go on. If the next prompt begins alike, the common
/// beginning is not computed again.
///
/// Sessions of absolute (or automatic) positions are forks: they share the cells. A session of packed
/// positions gets a context of its own, since a shift would rotate keys that others share; so does one that
/// chooses by attention, of the last `options.n_recorded_queries` queries. Owner: the sessions it gives may
/// outlive it. Thread safety: one thread at a time for all of them.
class SharedPrefill {
 public:
  /// `n_most_sessions`: at one time; 1 … kMaxSequences − 1. `options.positions` is that of each session whose
  /// policy is not defined by its own.
  SharedPrefill(std::shared_ptr<const Model> model, SessionOptions options, int n_most_sessions);

  /// Makes the cache hold `tokens`, keeping what it has of the same beginning, in whole batches, so that
  /// the result does not depend on what was there. `n_reserve`: tokens that the sessions will add in all.
  /// Returns the tokens that were there. REQUIRES: no session that it gave is alive.
  std::int64_t prefill(std::span<const Token> tokens, std::int64_t n_reserve);

  /// A session that holds the prompt and goes on by `policy`. Errors: those of Session::fork.
  [[nodiscard]] Session session(std::shared_ptr<const Policy> policy);

  [[nodiscard]] const Model& model() const noexcept { return *model_; }

  /// Of the shared context.
  [[nodiscard]] SessionStats stats() const { return trunk_.stats(); }

 private:
  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  Session trunk_;
  std::vector<Token> tokens_;  // what the trunk holds
};

}  // namespace kvevict::eval
