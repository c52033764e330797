#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kvevict/keep_set.h"

namespace kvevict {

/// A run of kept rows that lie together before the move and after it.
struct RowRun {
  std::int64_t from = 0;
  std::int64_t to = 0;  ///< <= from: rows move forward or stay.
  std::int64_t n = 0;
};

/// Walks the kept rows in order, from a given place among them. Memory O(1).
class RowWalk {
 public:
  /// `ranges` of a KeepSet, which outlives the walk.
  explicit RowWalk(std::span<const TokenRange> ranges) noexcept : ranges_(ranges) { skip_empty(); }

  [[nodiscard]] bool done() const noexcept { return next_ == ranges_.size(); }

  /// Where the next kept row is now, and where it goes. REQUIRES: not done.
  [[nodiscard]] std::int64_t from() const noexcept { return ranges_[next_].begin + offset_; }
  [[nodiscard]] std::int64_t to() const noexcept { return to_; }

  /// The next run, of at most `n_most` rows. REQUIRES: not done.
  RowRun take(std::int64_t n_most) noexcept {
    const std::int64_t n = std::min(n_most, ranges_[next_].count() - offset_);
    const RowRun run{from(), to_, n};
    to_ += n;
    offset_ += n;
    skip_empty();
    return run;
  }

  /// Goes on to where the row is that goes to `to`, or to the end. O(ranges between).
  void advance_to(std::int64_t to) noexcept {
    while (!done() && to_ < to) take(to - to_);
  }

  /// Goes on to the first row that lies at `from` or behind it, or to the end. O(ranges between).
  void advance_past(std::int64_t from) noexcept {
    while (!done() && this->from() < from) take(from - this->from());
  }

 private:
  void skip_empty() noexcept {
    while (next_ < ranges_.size() && offset_ == ranges_[next_].count()) {
      ++next_;
      offset_ = 0;
    }
  }

  std::span<const TokenRange> ranges_;
  std::size_t next_ = 0;
  std::int64_t offset_ = 0;
  std::int64_t to_ = 0;
};

}  // namespace kvevict
