#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "plot/comparison_panels.h"

namespace kvevict::plot {

/// A panel alone, as SVG for a page. Errors: those of `draw_with_gnuplot`.
[[nodiscard]] std::string panel_svg(const Panel& panel, const PlottedRuns& runs);

/// All panels under each other below a legend, `size` set to what they need.
[[nodiscard]] GnuplotScript comparison_script(const PlottedRuns& runs, PictureSize& size);

/// Draws the comparison of `runs` into a .png, .svg or .pdf file. Errors: kInvalidArgument for another ending
/// and if there is nothing to draw, and those of `save_with_gnuplot`.
void save_comparison_picture(const std::vector<eval::NamedRun>& runs, const std::filesystem::path& path);

}  // namespace kvevict::plot
