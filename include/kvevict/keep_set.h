#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kvevict/export.h"

namespace KVEVICT_PUBLIC kvevict {

/// A half-open range of token indices, `[begin, end)`, counted from 0 in the original stream.
struct TokenRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  [[nodiscard]] std::int64_t count() const noexcept { return end - begin; }
  friend bool operator==(const TokenRange&, const TokenRange&) = default;
};

/// A set of token indices, held as sorted, disjoint, maximal half-open ranges: two ranges of a
/// set never touch. Memory and the cost of every operation are proportional to the number of
/// ranges, never to the number of tokens, so a plan for a million tokens costs a few bytes.
///
/// A value type: copies are independent. Const members may be called from several threads.
class KeepSet {
 public:
  KeepSet() = default;

  /// The set of all indices in `ranges`. They may be unsorted, overlap and touch; empty ones are
  /// dropped. O(n log n). Throws `Error(kInvalidArgument)` for a negative bound or begin > end.
  static KeepSet from_ranges(std::vector<TokenRange> ranges);

  /// The set of `indices`, which may repeat and be in any order. O(n log n).
  /// Throws `Error(kInvalidArgument)` for a negative index.
  static KeepSet from_indices(std::span<const std::int64_t> indices);

  /// `{0, …, n_tokens − 1}`.
  static KeepSet all(std::int64_t n_tokens);

  /// Adds `[begin, end)`, which must not begin before the last range's begin. Amortised O(1).
  /// An empty range adds nothing. Throws `Error(kInvalidArgument)` for one out of order.
  void append(std::int64_t begin, std::int64_t end);

  /// Makes room for `n_ranges` ranges in all: until there are more, `append` cannot fail.
  void reserve(std::size_t n_ranges);

  [[nodiscard]] std::span<const TokenRange> ranges() const noexcept { return ranges_; }
  [[nodiscard]] bool empty() const noexcept { return ranges_.empty(); }

  /// Number of indices in the set. O(ranges).
  [[nodiscard]] std::int64_t count() const noexcept;

  /// O(log ranges).
  [[nodiscard]] bool contains(std::int64_t index) const noexcept;

  /// One past the largest index; 0 for the empty set.
  [[nodiscard]] std::int64_t end() const noexcept { return ranges_.empty() ? 0 : ranges_.back().end; }

  /// Indices in both sets. O(ranges of both).
  [[nodiscard]] KeepSet intersect(const KeepSet& other) const;

  /// Indices in either set. O(ranges of both).
  [[nodiscard]] KeepSet unite(const KeepSet& other) const;

  /// Indices of this set that `other` lacks. O(ranges of both).
  [[nodiscard]] KeepSet subtract(const KeepSet& other) const;

  /// What a cache that still holds this set (its history) holds after a plan `wanted` was made
  /// with `n_tokens_seen` tokens seen, of which those from `n_tokens_cached` on are still to be
  /// written: the wanted tokens that are still there (an evicted token cannot come back) and the
  /// wanted ones to come. O(ranges of both).
  [[nodiscard]] KeepSet merge_with_history(const KeepSet& wanted, std::int64_t n_tokens_cached) const;

  /// Calls `visit` for every maximal range of `[0, n_tokens)` that is not in the set, in order.
  void for_each_removed(std::int64_t n_tokens, const std::function<void(TokenRange)>& visit) const;

  /// All indices in ascending order: memory O(count()).
  [[nodiscard]] std::vector<std::int64_t> to_indices() const;

  friend bool operator==(const KeepSet&, const KeepSet&) = default;

 private:
  std::vector<TokenRange> ranges_;
};

}  // namespace kvevict
