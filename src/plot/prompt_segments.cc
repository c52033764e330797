#include "plot/prompt_segments.h"

#include <algorithm>

namespace kvevict::plot {
namespace {

bool is_inside_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

/// For every byte offset 0 … size: how many UTF-16 units lie before it, a character within which it lies
/// included.
std::vector<std::size_t> utf16_offsets(const std::string& text) {
  std::vector<std::size_t> offsets(text.size() + 1, 0);
  std::size_t n_units = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_inside_character(text[i])) {
      offsets[i] = n_units;
      n_units += static_cast<unsigned char>(text[i]) >= 0xF0 ? 2 : 1;
    } else {
      offsets[i] = n_units;
    }
  }
  offsets[text.size()] = n_units;
  return offsets;
}

/// How many of the layers keep each token.
std::vector<int> keeping_layers(std::size_t n_tokens, std::span<const KeepSet> layers) {
  std::vector<int> counts(n_tokens, 0);
  for (const KeepSet& layer : layers) {
    for (const TokenRange& range : layer.ranges()) {
      const auto end = std::min(static_cast<std::size_t>(range.end), n_tokens);
      for (auto i = static_cast<std::size_t>(range.begin); i < end; ++i) ++counts[i];
    }
  }
  return counts;
}

Fate fate_of(int n_keeping, std::size_t n_layers) {
  if (n_keeping == 0) return Fate::kEvicted;
  return static_cast<std::size_t>(n_keeping) == n_layers ? Fate::kKept : Fate::kKeptInSomeLayers;
}

}  // namespace

std::vector<TextSegment> text_segments(const std::string& text, std::span<const std::size_t> token_ends,
                                       std::span<const KeepSet> layers) {
  const std::vector<std::size_t> offsets = utf16_offsets(text);
  const std::vector<int> counts = keeping_layers(token_ends.size(), layers);
  std::vector<TextSegment> segments;
  for (std::size_t i = 0; i < token_ends.size(); ++i) {
    const std::size_t end = offsets[std::min(token_ends[i], text.size())];
    const Fate fate = fate_of(counts[i], layers.size());
    if (!segments.empty() && segments.back().fate == fate) {
      segments.back().end = end;
    } else if (end > (segments.empty() ? 0 : segments.back().end)) {
      segments.push_back({end, fate});
    }
  }
  return segments;
}

std::vector<std::size_t> even_token_ends(const std::string& text, std::int64_t n_tokens) {
  std::vector<std::size_t> ends;
  for (std::int64_t i = 1; i <= n_tokens; ++i) {
    ends.push_back(static_cast<std::size_t>(static_cast<double>(text.size()) * static_cast<double>(i) /
                                            static_cast<double>(n_tokens)));
  }
  return ends;
}

}  // namespace kvevict::plot
