#include "kvevict/keep_set.h"

#include <algorithm>
#include <string>

#include "kvevict/error.h"

namespace kvevict {

KeepSet KeepSet::from_ranges(std::vector<TokenRange> ranges) {
  for (const TokenRange& range : ranges) {
    if (range.begin < 0 || range.end < range.begin) {
      throw Error(ErrorCode::kInvalidArgument,
                  "the range [" + std::to_string(range.begin) + ", " + std::to_string(range.end) +
                      ") is not a range of token indices: 0 <= begin <= end is needed");
    }
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const TokenRange& a, const TokenRange& b) { return a.begin < b.begin; });
  KeepSet set;
  for (const TokenRange& range : ranges) set.append(range.begin, range.end);
  return set;
}

KeepSet KeepSet::from_indices(std::span<const std::int64_t> indices) {
  std::vector<TokenRange> ranges;
  ranges.reserve(indices.size());
  for (const std::int64_t index : indices) ranges.push_back({index, index + 1});
  return from_ranges(std::move(ranges));
}

KeepSet KeepSet::all(std::int64_t n_tokens) {
  return from_ranges({{0, n_tokens}});
}

void KeepSet::append(std::int64_t begin, std::int64_t end) {
  if (begin >= end) return;
  if (ranges_.empty()) {
    ranges_.push_back({begin, end});
    return;
  }
  TokenRange& last = ranges_.back();
  if (begin < last.begin) {
    throw Error(ErrorCode::kInvalidArgument, "the range that begins at " + std::to_string(begin) +
                                                 " cannot be appended behind one that begins at " +
                                                 std::to_string(last.begin));
  }
  if (begin <= last.end) {
    last.end = std::max(last.end, end);
  } else {
    ranges_.push_back({begin, end});
  }
}

void KeepSet::reserve(std::size_t n_ranges) {
  if (n_ranges > ranges_.capacity()) ranges_.reserve(std::max(n_ranges, 2 * ranges_.size()));
}

std::int64_t KeepSet::count() const noexcept {
  std::int64_t n = 0;
  for (const TokenRange& range : ranges_) n += range.count();
  return n;
}

bool KeepSet::contains(std::int64_t index) const noexcept {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), index,
                       [](std::int64_t i, const TokenRange& range) { return i < range.begin; });
  return after != ranges_.begin() && index < std::prev(after)->end;
}

KeepSet KeepSet::intersect(const KeepSet& other) const {
  KeepSet result;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    result.append(std::max(a->begin, b->begin), std::min(a->end, b->end));
    if (a->end < b->end) {
      ++a;
    } else {
      ++b;
    }
  }
  return result;
}

KeepSet KeepSet::unite(const KeepSet& other) const {
  KeepSet result;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() || b != other.ranges_.end()) {
    const bool from_a = b == other.ranges_.end() || (a != ranges_.end() && a->begin <= b->begin);
    const TokenRange& next = from_a ? *a++ : *b++;
    result.append(next.begin, next.end);
  }
  return result;
}

KeepSet KeepSet::subtract(const KeepSet& other) const {
  KeepSet result;
  auto b = other.ranges_.begin();
  for (const TokenRange& range : ranges_) {
    std::int64_t from = range.begin;
    while (b != other.ranges_.end() && b->end <= from) ++b;
    for (auto hole = b; hole != other.ranges_.end() && hole->begin < range.end; ++hole) {
      result.append(from, hole->begin);
      from = std::max(from, hole->end);
    }
    result.append(from, range.end);
  }
  return result;
}

KeepSet KeepSet::merge_with_history(const KeepSet& wanted, std::int64_t n_tokens_cached) const {
  KeepSet reachable = *this;
  reachable.append(n_tokens_cached, std::max(n_tokens_cached, wanted.end()));
  return reachable.intersect(wanted);
}

void KeepSet::for_each_removed(std::int64_t n_tokens, const std::function<void(TokenRange)>& visit) const {
  std::int64_t from = 0;
  for (const TokenRange& range : ranges_) {
    if (range.begin >= n_tokens) break;
    if (from < range.begin) visit({from, range.begin});
    from = range.end;
  }
  if (from < n_tokens) visit({from, n_tokens});
}

std::vector<std::int64_t> KeepSet::to_indices() const {
  std::vector<std::int64_t> indices;
  indices.reserve(static_cast<std::size_t>(count()));
  for (const TokenRange& range : ranges_) {
    for (std::int64_t i = range.begin; i < range.end; ++i) indices.push_back(i);
  }
  return indices;
}

}  // namespace kvevict
