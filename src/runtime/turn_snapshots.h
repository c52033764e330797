#pragma once

#include <cstdint>
#include <deque>

#include "engine/session_snapshot.h"
#include "kvevict/session.h"

namespace kvevict {

/// The last turns of a conversation as places to go back to: copies of its session, few and bounded in bytes.
/// All are of beginnings of what the session has seen.
class TurnSnapshots {
 public:
  /// Errors: kInvalidArgument for a negative number.
  TurnSnapshots(int n_most, std::int64_t n_most_bytes);

  /// Whether any are kept at all.
  [[nodiscard]] bool are_wanted() const noexcept { return n_most_ > 0 && n_most_bytes_ > 0; }

  /// Keeps a copy of `session` as it is, and lets the oldest go for it. A copy that is too large, or that
  /// cannot be made, is left out.
  void take(Session& session);

  /// The one that is furthest on among those of at most `n_tokens` tokens; null if there is none. Valid until
  /// the next call.
  [[nodiscard]] const SessionSnapshot* latest(std::int64_t n_tokens) const noexcept;

  /// Lets those of more than `n_tokens` tokens go.
  void forget_behind(std::int64_t n_tokens);

  void clear() noexcept { taken_.clear(); }

 private:
  [[nodiscard]] std::int64_t count_bytes() const noexcept;

  std::size_t n_most_;
  std::int64_t n_most_bytes_;
  std::deque<SessionSnapshot> taken_;  // ascending in their tokens
};

}  // namespace kvevict
