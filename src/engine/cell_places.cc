#include "engine/cell_places.h"

#include <algorithm>

namespace kvevict {

void CellPlaces::written(std::int64_t first_position, std::int64_t n_tokens) noexcept {
  for (std::int64_t i = 0; i < n_tokens && is_known(); ++i) {
    while (lowest_free_ < position_of_cell_.size() && position_of_cell_[lowest_free_] != kFree)
      ++lowest_free_;
    if (lowest_free_ == position_of_cell_.size()) {
      forget();  // more tokens than cells: llama.cpp knows something that this record does not
      return;
    }
    position_of_cell_[lowest_free_] = static_cast<std::int32_t>(first_position + i);
  }
}

void CellPlaces::removed(PositionRange positions) noexcept {
  for (std::size_t cell = 0; cell < position_of_cell_.size(); ++cell) {
    const std::int32_t position = position_of_cell_[cell];
    if (position == kFree || position < positions.begin || position >= positions.end) continue;
    position_of_cell_[cell] = kFree;
    lowest_free_ = std::min(lowest_free_, cell);
  }
}

void CellPlaces::shifted(const PositionShift& shift) noexcept {
  for (std::int32_t& position : position_of_cell_) {
    if (position != kFree && position >= shift.positions.begin && position < shift.positions.end)
      position += static_cast<std::int32_t>(shift.delta);
  }
}

void CellPlaces::filled(std::span<const std::int64_t> positions) noexcept {
  if (positions.size() > position_of_cell_.size()) forget();
  if (!is_known()) return;
  std::fill(position_of_cell_.begin(), position_of_cell_.end(), kFree);
  std::transform(positions.begin(), positions.end(), position_of_cell_.begin(),
                 [](std::int64_t position) { return static_cast<std::int32_t>(position); });
  lowest_free_ = 0;
}

std::vector<TokenRange> CellPlaces::occupied() const {
  std::vector<TokenRange> runs;
  for (std::size_t cell = 0; cell < position_of_cell_.size(); ++cell) {
    if (position_of_cell_[cell] == kFree) continue;
    const auto at = static_cast<std::int64_t>(cell);
    if (!runs.empty() && runs.back().end == at) {
      ++runs.back().end;
    } else {
      runs.push_back({at, at + 1});
    }
  }
  return runs;
}

std::vector<std::int64_t> CellPlaces::positions() const {
  std::vector<std::int64_t> positions;
  for (const std::int32_t position : position_of_cell_) {
    if (position != kFree) positions.push_back(position);
  }
  return positions;
}

}  // namespace kvevict
