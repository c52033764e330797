#pragma once

#include <optional>
#include <string>

#include "plot/cache_picture.h"

namespace kvevict::cli {

/// What really happened, to be drawn: an example of a results file, or a saved session.
/// Empty choices mean the only one there is.
struct PictureSource {
  std::string file;
  std::string run;
  std::string dataset;
  std::string example;
};

/// The cache that `source` names: after its eviction, or as the session was saved. `n_layers` is the number
/// of layers if the file does not tell it (nothing: one row for all layers). Errors: those of
/// `read_results`; kInvalidArgument for a choice that is not in the file or is missing, listing what is
/// there.
[[nodiscard]] plot::CachePicture read_picture(const PictureSource& source,
                                              const std::optional<int>& n_layers);

}  // namespace kvevict::cli
