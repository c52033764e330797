#pragma once

#include <cstdint>
#include <filesystem>

#include "kvevict/strategy_spec.h"
#include "plot/gnuplot.h"

namespace kvevict::plot {

/// A stream of `n_tokens` >= 1 tokens whose cache is drawn over time.
struct StreamAnimation {
  StrategySpec spec;
  std::int64_t n_tokens = 0;
  int n_frames = 60;  ///< 1 … 500; fewer if there are fewer tokens.
  int n_layers = 1;   ///< >= 1; of the model, if layers keep other tokens.
  int layer = 0;      ///< The layer that is drawn: 0 … n_layers - 1.
};

/// One frame after another: each adds a row, what the cache holds when so many tokens were seen (the
/// streaming schedule, `for_each_bounded_chunk`); the last frame stays longer. Errors: kInvalidArgument.
[[nodiscard]] GnuplotScript stream_script(const StreamAnimation& animation, PictureSize size);

/// Draws it into a .gif file. Errors: kInvalidArgument for another ending.
void save_stream_animation(const StreamAnimation& animation, const std::filesystem::path& path);

}  // namespace kvevict::plot
