#pragma once

#include <algorithm>
#include <cstdint>

#include "kvevict/keep_set.h"

namespace kvevict {

/// The middle [begin, end) cut by the absolute grid of blocks: its non-empty pieces, numbered from 0.
class MiddlePieces {
 public:
  MiddlePieces(std::int64_t begin, std::int64_t end, std::int64_t block_n)
      : begin_(begin), end_(end), block_n_(block_n), first_block_(begin / block_n) {}

  [[nodiscard]] std::int64_t count() const {
    return begin_ < end_ ? (end_ - 1) / block_n_ - first_block_ + 1 : 0;
  }

  [[nodiscard]] TokenRange operator[](std::int64_t number) const {
    const std::int64_t block = first_block_ + number;
    return {std::max(begin_, block * block_n_), std::min(end_, (block + 1) * block_n_)};
  }

 private:
  std::int64_t begin_, end_, block_n_, first_block_;
};

}  // namespace kvevict
