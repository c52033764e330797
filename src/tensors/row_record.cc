#include "tensors/row_record.h"

#include <algorithm>
#include <utility>

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

namespace {

using SharedSet = std::shared_ptr<const KeepSet>;

SharedSet share(KeepSet set) {
  return std::make_shared<const KeepSet>(std::move(set));
}

KeepSet with_more(const KeepSet& set, std::int64_t begin, std::int64_t n) {
  KeepSet longer = set;
  longer.append(begin, begin + n);
  return longer;
}

/// As members_at; without a walk if the record is 0, 1, 2, … .
SharedSet left_of(const KeepSet& record, const KeepSet& rows) {
  const bool is_counting = record.ranges().size() == 1 && record.ranges().front().begin == 0;
  return share(is_counting ? rows : members_at(record, rows));
}

}  // namespace

RowRecord fresh_record(std::int64_t n_rows) {
  const SharedSet all = share(KeepSet::all(n_rows));
  return {all, all, n_rows, n_rows, 0};
}

RowRecord appended(const RowRecord& record, std::int64_t n_tokens) {
  const SharedSet abs_pos = share(with_more(*record.abs_pos, record.seen_tokens, n_tokens));
  const bool is_same = record.rope_pos == record.abs_pos;
  return {abs_pos, is_same ? abs_pos : share(with_more(*record.rope_pos, record.next_rope_pos(), n_tokens)),
          record.n_rows + n_tokens, record.seen_tokens + n_tokens, record.rope_shift};
}

RowRecord evicted(const RowRecord& record, const KeepSet& rows) {
  const SharedSet abs_pos = left_of(*record.abs_pos, rows);
  const bool is_same = record.rope_pos == record.abs_pos;
  return {abs_pos, is_same ? abs_pos : left_of(*record.rope_pos, rows), rows.count(), record.seen_tokens,
          record.rope_shift};
}

RowRecord packed(const RowRecord& record) {
  return {record.abs_pos, share(KeepSet::all(record.n_rows)), record.n_rows, record.seen_tokens,
          record.seen_tokens - record.n_rows};
}

}  // namespace kvevict
