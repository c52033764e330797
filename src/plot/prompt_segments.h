#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kvevict/keep_set.h"

namespace kvevict::plot {

/// What became of a part of a prompt in the cache.
enum class Fate { kEvicted = 0, kKeptInSomeLayers = 1, kKept = 2 };

/// A part of a text up to `end`, in UTF-16 code units as JavaScript counts them; it begins where the one
/// before it ends.
struct TextSegment {
  std::size_t end = 0;
  Fate fate = Fate::kKept;
  friend bool operator==(const TextSegment&, const TextSegment&) = default;
};

/// The segments of `text` (UTF-8), whose token i ends at byte `token_ends[i]`; `layers` holds the kept
/// tokens, one set for all layers or one each. Neighbours differ in their fate; a boundary within a character
/// moves to its end. O(text + tokens + ranges).
[[nodiscard]] std::vector<TextSegment> text_segments(const std::string& text,
                                                     std::span<const std::size_t> token_ends,
                                                     std::span<const KeepSet> layers);

/// Token ends for a text whose tokens are not known: all equally long. An estimate.
[[nodiscard]] std::vector<std::size_t> even_token_ends(const std::string& text, std::int64_t n_tokens);

}  // namespace kvevict::plot
