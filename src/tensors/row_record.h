#pragma once

#include <cstdint>
#include <memory>

#include "kvevict/keep_set.h"

namespace kvevict {

/// What the rows of a layer are. Immutable once made, so that layers with the same history share one.
struct RowRecord {
  std::shared_ptr<const KeepSet> abs_pos;
  std::shared_ptr<const KeepSet> rope_pos;  ///< The same object as long as nothing was packed.
  std::int64_t n_rows = 0;
  std::int64_t seen_tokens = 0;
  std::int64_t rope_shift = 0;  ///< The next token's position minus this is where its key is rotated.

  [[nodiscard]] std::int64_t next_rope_pos() const noexcept { return seen_tokens - rope_shift; }
};

/// The members of `record` in the places that `rows` numbers. REQUIRES: rows.end() <= record.count().
/// O(ranges of both).
[[nodiscard]] KeepSet members_at(const KeepSet& record, const KeepSet& rows);

/// The places in `record` of those of its members that are in `wanted`. O(ranges of both).
[[nodiscard]] KeepSet places_of(const KeepSet& record, const KeepSet& wanted);

[[nodiscard]] RowRecord fresh_record(std::int64_t n_rows);
[[nodiscard]] RowRecord appended(const RowRecord& record, std::int64_t n_tokens);
[[nodiscard]] RowRecord evicted(const RowRecord& record, const KeepSet& rows);

/// With keys rotated for 0 … n_rows − 1.
[[nodiscard]] RowRecord packed(const RowRecord& record);

}  // namespace kvevict
