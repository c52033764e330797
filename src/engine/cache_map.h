#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvevict/keep_set.h"
#include "kvevict/session_options.h"

namespace kvevict {

/// A half-open range of positions, as the rotary embedding sees them.
struct PositionRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  friend bool operator==(const PositionRange&, const PositionRange&) = default;
};

/// Cells whose positions all move by `delta` (never upwards).
struct PositionShift {
  PositionRange positions;  ///< Before the shift.
  std::int64_t delta = 0;
  friend bool operator==(const PositionShift&, const PositionShift&) = default;
};

/// The record of what the cells of one sequence hold: which original token, at which position.
/// The same in all layers. Says what an applier must do to the engine's cells, does nothing itself.
/// Memory and cost are proportional to the runs held. A value: a fork's record is a copy.
class CacheMap {
 public:
  CacheMap() = default;

  /// A record that was saved. Throws `Error(kBadData)` if the numbers contradict each other.
  CacheMap(std::span<const HeldRun> runs, std::int64_t n_seen, std::int64_t next_position);

  /// Makes room for another run: the next `append` cannot fail.
  void prepare_append();

  /// The next `n_tokens` original tokens were written at the next positions.
  void append(std::int64_t n_tokens);

  /// Removes every token that `keep` lacks. Returns the positions to remove, in ascending order.
  std::vector<PositionRange> retain(const KeepSet& keep);

  /// Forgets the tokens from index `n_tokens` on. Returns the positions to remove. Throws
  /// `Error(kInvalidArgument)` if token n_tokens − 1 is not held: nothing could go on behind it.
  std::vector<PositionRange> trim(std::int64_t n_tokens);

  /// Gives the held tokens the positions 0 … n − 1 and makes n the next one. Returns the shifts to
  /// carry out one after the other, in ascending order of positions, so that none meets another.
  std::vector<PositionShift> pack();

  [[nodiscard]] const KeepSet& held() const noexcept { return held_; }
  [[nodiscard]] std::int64_t n_held() const noexcept { return n_held_; }
  [[nodiscard]] std::int64_t n_seen() const noexcept { return n_seen_; }
  [[nodiscard]] std::int64_t next_position() const noexcept { return next_position_; }
  [[nodiscard]] std::span<const HeldRun> runs() const noexcept { return runs_; }

 private:
  void add_run(const HeldRun& run);

  std::vector<HeldRun> runs_;  // ascending in indices and in positions
  KeepSet held_;
  std::int64_t n_held_ = 0;
  std::int64_t n_seen_ = 0;
  std::int64_t next_position_ = 0;
};

}  // namespace kvevict
