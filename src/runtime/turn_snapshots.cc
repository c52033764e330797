#include "runtime/turn_snapshots.h"

#include <exception>
#include <string>
#include <utility>

#include "kvevict/error.h"

namespace kvevict {
namespace {

void require_not_negative(const char* what, std::int64_t n) {
  if (n >= 0) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::string(what) + " is " + std::to_string(n) + ": 0 or more is needed", what);
}

std::int64_t bytes_of(const SessionSnapshot& snapshot) {
  return static_cast<std::int64_t>(snapshot.cells.size() + snapshot.logits.size() * sizeof(float));
}

/// About what a copy of `session` takes.
std::int64_t expected_bytes(const Session& session) {
  const SessionStats stats = session.stats();
  return stats.n_cells == 0 ? 0 : stats.kv_bytes / stats.n_cells * stats.n_tokens_held + stats.state_bytes;
}

}  // namespace

TurnSnapshots::TurnSnapshots(int n_most, std::int64_t n_most_bytes)
    : n_most_(static_cast<std::size_t>(n_most)), n_most_bytes_(n_most_bytes) {
  require_not_negative("n_snapshots", n_most);
  require_not_negative("snapshot_bytes", n_most_bytes);
}

void TurnSnapshots::take(Session& session) {
  const std::int64_t n_tokens = session.stats().n_tokens_seen;
  forget_behind(n_tokens - 1);
  if (!are_wanted() || expected_bytes(session) > n_most_bytes_) return;
  // before the copy is made, so that no more than the limit is ever held
  while (!taken_.empty() &&
         (taken_.size() >= n_most_ || count_bytes() + expected_bytes(session) > n_most_bytes_))
    taken_.pop_front();
  try {
    taken_.push_back(session.snapshot());
  } catch (const std::exception&) {
    return;  // going back then costs more; nothing else is lost
  }
  while (!taken_.empty() && count_bytes() > n_most_bytes_) taken_.pop_front();
}

const SessionSnapshot* TurnSnapshots::latest(std::int64_t n_tokens) const noexcept {
  const SessionSnapshot* found = nullptr;
  for (const SessionSnapshot& one : taken_) {
    if (one.n_tokens_seen <= n_tokens) found = &one;
  }
  return found;
}

void TurnSnapshots::forget_behind(std::int64_t n_tokens) {
  while (!taken_.empty() && taken_.back().n_tokens_seen > n_tokens) taken_.pop_back();
}

std::int64_t TurnSnapshots::count_bytes() const noexcept {
  std::int64_t n_bytes = 0;
  for (const SessionSnapshot& one : taken_) n_bytes += bytes_of(one);
  return n_bytes;
}

}  // namespace kvevict
