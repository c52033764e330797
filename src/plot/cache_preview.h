#pragma once

#include <string>

#include "plot/cache_picture.h"

namespace kvevict::plot {

struct PreviewOptions {
  int width = 80;            ///< Characters; at least 40 are used.
  bool has_colours = false;  ///< With a terminal's colour codes.
};

/// The heat map in characters, for a terminal: title, numbers, a row for each group of layers, a line that
/// marks the boundaries (S, R), and the legend. Needs no other program.
/// Errors: as `cache_script`.
[[nodiscard]] std::string cache_preview(const CachePicture& picture, const PreviewOptions& options);

}  // namespace kvevict::plot
