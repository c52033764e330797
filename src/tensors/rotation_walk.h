#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kvevict/keep_set.h"

namespace kvevict {

/// Rows that follow each other and rotate by the same angle.
struct TurnRun {
  std::int64_t row = 0;
  std::int64_t n = 0;
  std::int64_t rotation = 0;  ///< In positions, of any sign.
};

/// Walks the rows of a tensor and by how many positions each one rotates. Memory O(1).
class TurnWalk {
 public:
  /// Row r rotates from from[r] to to[r]. Both outlive the walk and are equally many.
  TurnWalk(const KeepSet& from, const KeepSet& to) noexcept : from_(from.ranges()), to_(to.ranges()) {}

  /// Row r, unrotated, rotates to to[r]; `is_back`: rotated for to[r], it rotates back to 0.
  explicit TurnWalk(const KeepSet& to, bool is_back = false) noexcept
      : to_(to.ranges()), unrotated_(true), is_back_(is_back) {}

  [[nodiscard]] bool done() const noexcept { return to_.empty(); }

  /// The next run, of at most `n_most` >= 1 rows. REQUIRES: not done.
  TurnRun take(std::int64_t n_most) noexcept {
    const std::int64_t target = to_.front().begin + to_offset_;
    std::int64_t n = std::min(n_most, to_.front().count() - to_offset_);
    TurnRun run{row_, 1, is_back_ ? -target : target};
    if (!unrotated_) {
      n = std::min(n, from_.front().count() - from_offset_);
      run = {row_, n, target - (from_.front().begin + from_offset_)};
      step(from_, from_offset_, n);
    }
    step(to_, to_offset_, run.n);
    row_ += run.n;
    return run;
  }

  /// Goes on to `row`, or to the end. O(ranges between).
  void advance_to(std::int64_t row) noexcept {
    while (!done() && row_ < row) {
      const std::int64_t n = std::min(row - row_, to_.front().count() - to_offset_);
      if (!unrotated_) {
        take(n);
        continue;
      }
      step(to_, to_offset_, n);
      row_ += n;
    }
  }

 private:
  static void step(std::span<const TokenRange>& ranges, std::int64_t& offset, std::int64_t n) noexcept {
    offset += n;
    if (offset < ranges.front().count()) return;
    ranges = ranges.subspan(1);
    offset = 0;
  }

  std::span<const TokenRange> from_;
  std::span<const TokenRange> to_;
  std::int64_t from_offset_ = 0;
  std::int64_t to_offset_ = 0;
  std::int64_t row_ = 0;
  bool unrotated_ = false;
  bool is_back_ = false;
};

}  // namespace kvevict
