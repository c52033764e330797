#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/cache_map.h"

namespace kvevict {

/// Which cell of a context holds which position. llama.cpp's state lists the cells in their order, but not
/// the holes between them. Attention sums over the cells in order, so the holes count too if a saved session
/// is to go on bit for bit. They follow from what was done: llama.cpp writes new tokens into the lowest free
/// cells (its search begins behind the last cell that it wrote, and never leaves a free one behind), frees
/// the cells of removed positions, and reads a state into the cells from 0 on.
///
/// Known while one sequence alone uses the context and its model has no sliding window: cells of a window are
/// reused by another rule. What is not known is forgotten, never guessed. Everything but the constructor is
/// noexcept: the record must not fail once the cells have changed. O(cells) at most; memory: 4 bytes for each
/// cell.
class CellPlaces {
 public:
  CellPlaces() = default;  ///< Not known.
  explicit CellPlaces(std::int64_t n_cells) : position_of_cell_(static_cast<std::size_t>(n_cells), kFree) {}

  [[nodiscard]] bool is_known() const noexcept { return !position_of_cell_.empty(); }
  void forget() noexcept { position_of_cell_.clear(); }

  /// Tokens were written at `first`, `first` + 1, …
  void written(std::int64_t first_position, std::int64_t n_tokens) noexcept;
  void removed(PositionRange positions) noexcept;
  void shifted(const PositionShift& shift) noexcept;

  /// The cells 0, 1, … now hold `positions`, and the others nothing.
  void filled(std::span<const std::int64_t> positions) noexcept;

  /// Runs of occupied cells, ascending.
  [[nodiscard]] std::vector<TokenRange> occupied() const;

  /// The positions in the order of their cells.
  [[nodiscard]] std::vector<std::int64_t> positions() const;

 private:
  static constexpr std::int32_t kFree = -1;

  std::vector<std::int32_t> position_of_cell_;
  std::size_t lowest_free_ = 0;  // no free cell lies before it
};

}  // namespace kvevict
