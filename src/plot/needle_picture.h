#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "plot/gnuplot.h"

namespace kvevict::plot {

/// Which share of the passkeys one run found, by depth and length: `found[length][depth]`, 0 … 1, and
/// below 0 if nothing was asked.
struct NeedlePanel {
  std::string name;
  std::vector<std::vector<double>> found;
};

struct NeedlePicture {
  std::vector<double> lengths;  ///< Tokens, ascending.
  std::vector<double> depths;   ///< Percent, ascending.
  std::vector<NeedlePanel> panels;
};

/// Whether the file says that it is a needle map (`kvevict needle --output`).
[[nodiscard]] bool is_needle_file(const std::filesystem::path& path);

/// Reads one. Errors: kNotFound, kIo, kBadData naming the field that is wrong.
[[nodiscard]] NeedlePicture read_needle_picture(const std::filesystem::path& path);

/// A panel for each strategy, two in a row: lengths across, depths down, dark where the key was found.
/// `size` is set to what they need. Errors: kInvalidArgument if there is nothing to draw.
[[nodiscard]] GnuplotScript needle_script(const NeedlePicture& picture, PictureSize& size);

/// Draws it into a file.
void save_needle_picture(const NeedlePicture& picture, const std::filesystem::path& path);

}  // namespace kvevict::plot
