#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "kvevict/keep_set.h"
#include "kvevict/strategy_spec.h"
#include "plot/gnuplot.h"

namespace kvevict::plot {

/// A cache to be drawn: which of `total_len` tokens each layer keeps.
struct CachePicture {
  std::string title;            ///< The configuration.
  std::int64_t total_len = 0;   ///< >= 1
  std::vector<KeepSet> layers;  ///< One set for all layers, or one for each.
  int n_layers = 1;  ///< 1 … kMaxDrawnLayers; if the number is unknown: 1, with `has_layer_count` false.
  bool has_layer_count = true;
  std::optional<std::int64_t> sink_end{};      ///< Where the sink tokens end.
  std::optional<std::int64_t> recent_begin{};  ///< Where the recent window begins.
};

inline constexpr int kMaxDrawnLayers = 4096;

/// Sets the two boundaries that a strategy has at `total_len` tokens: s = min(sink, L) and
/// r = max(s, L - recent). Boundaries at the picture's edge are left out.
void set_boundaries(CachePicture& picture, std::int64_t sink_tokens, std::int64_t recent_tokens);

/// The picture of what the policy of `spec` keeps of a cache of `total_len` tokens (one-shot).
/// Errors: kInvalidArgument.
[[nodiscard]] CachePicture picture_of_plan(const StrategySpec& spec, std::int64_t total_len, int n_layers);

/// "1280 of 4096 tokens kept in each of 30 layers: 68.8 % of the KV cache saved"
[[nodiscard]] std::string summary_line(const CachePicture& picture);

/// The heat map: layers down, tokens across, kept blue, evicted grey, the boundaries dashed. Time and size
/// depend on the drawn columns and layers, not on the tokens. Errors: kInvalidArgument for nothing to draw.
[[nodiscard]] GnuplotScript cache_script(const CachePicture& picture, PictureSize size);

/// The size that suits the number of layers.
[[nodiscard]] PictureSize cache_picture_size(const CachePicture& picture);

/// Draws it into a file. Errors: those of `save_with_gnuplot` and `cache_script`.
void save_cache_picture(const CachePicture& picture, const std::filesystem::path& path);

}  // namespace kvevict::plot
