#include "cache/row_record.h"

#include <algorithm>

namespace kvevict {

KeepSet members_at(const KeepSet& record, const KeepSet& rows) {
  KeepSet members;
  const auto ranges = record.ranges();
  std::size_t at = 0;
  std::int64_t place = 0;  // of ranges[at].begin
  for (const TokenRange& wanted : rows.ranges()) {
    for (std::int64_t row = wanted.begin; row < wanted.end;) {
      while (place + ranges[at].count() <= row) place += ranges[at++].count();
      const std::int64_t n = std::min(wanted.end, place + ranges[at].count()) - row;
      const std::int64_t first = ranges[at].begin + (row - place);
      members.append(first, first + n);
      row += n;
    }
  }
  return members;
}

KeepSet places_of(const KeepSet& record, const KeepSet& wanted) {
  KeepSet places;
  const auto want = wanted.ranges();
  std::size_t at = 0;
  std::int64_t place = 0;
  for (const TokenRange& range : record.ranges()) {
    while (at < want.size() && want[at].end <= range.begin) ++at;
    for (std::size_t i = at; i < want.size() && want[i].begin < range.end; ++i) {
      places.append(place + std::max(want[i].begin, range.begin) - range.begin,
                    place + std::min(want[i].end, range.end) - range.begin);
    }
    place += range.count();
  }
  return places;
}

RowRecord fresh_record(std::int64_t n_rows) {
  return {KeepSet::all(n_rows), KeepSet::all(n_rows), n_rows, n_rows, 0};
}

RowRecord appended(const RowRecord& record, std::int64_t n_tokens) {
  RowRecord next = record;
  next.abs_pos.append(record.seen_tokens, record.seen_tokens + n_tokens);
  next.rope_pos.append(record.next_rope_pos(), record.next_rope_pos() + n_tokens);
  next.n_rows += n_tokens;
  next.seen_tokens += n_tokens;
  return next;
}

RowRecord evicted(const RowRecord& record, const KeepSet& rows) {
  return {members_at(record.abs_pos, rows), members_at(record.rope_pos, rows), rows.count(),
          record.seen_tokens, record.rope_shift};
}

RowRecord packed(const RowRecord& record) {
  return {record.abs_pos, KeepSet::all(record.n_rows), record.n_rows, record.seen_tokens,
          record.seen_tokens - record.n_rows};
}

}  // namespace kvevict
