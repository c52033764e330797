#pragma once

#include <cstdint>
#include <filesystem>

#include "kvevict/strategy_spec.h"
#include "plot/gnuplot.h"

namespace kvevict::plot {

/// A bounded prefill whose attention is drawn.
struct MaskPicture {
  StrategySpec spec;
  std::int64_t n_tokens = 0;   ///< >= 1
  std::int64_t n_chunk = 512;  ///< >= 1
  int n_layers = 1;            ///< >= 1; of the model, if layers keep other tokens.
  int layer = 0;               ///< The layer that is drawn: 0 … n_layers - 1.
};

/// Which token sees which during a bounded prefill (the block-sparse mask of `for_each_bounded_chunk`): rows
/// are the tokens that look, columns the tokens that are seen. Runs of chunks are drawn as one row if
/// there are more chunks than the picture can tell apart: the share of them that sees a column.
/// Errors: kInvalidArgument.
[[nodiscard]] GnuplotScript mask_script(const MaskPicture& picture, PictureSize size);

/// Draws it into a file.
void save_mask_picture(const MaskPicture& picture, const std::filesystem::path& path);

}  // namespace kvevict::plot
