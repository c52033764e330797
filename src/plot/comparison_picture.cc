#include "plot/comparison_picture.h"

#include <fmt/format.h>

#include "kvevict/error.h"

namespace kvevict::plot {
namespace {

constexpr int kWidth = 800;
constexpr int kLegendRow = 20;
constexpr std::size_t kLegendColumns = 2;

int legend_height(const PlottedRuns& runs) {
  const auto n_rows = (runs.runs.size() + kLegendColumns - 1) / kLegendColumns;
  return 20 + kLegendRow * static_cast<int>(n_rows);
}

/// A coloured square, the point and the name for each run, in two columns. They stay for all panels of the
/// picture.
void add_legend(GnuplotScript& script, const PlottedRuns& runs, const Strip& strip) {
  for (std::size_t r = 0; r < runs.runs.size(); ++r) {
    const double left = 64 + static_cast<double>(r % kLegendColumns) * 370;
    const double middle = 20 + kLegendRow * static_cast<double>(r / kLegendColumns);
    script.add(fmt::format(
        "set object {} rectangle from screen {:.6f},{:.6f} to screen {:.6f},{:.6f} fillcolor rgb '{}' "
        "fillstyle solid noborder",
        r + 1, strip.x(left), strip.y(middle - 6), strip.x(left + 12), strip.y(middle + 6),
        to_hex(runs.styles[r].colour)));
    script.add(fmt::format(
        "set label {} '' at screen {:.6f},{:.6f} point pointtype {} pointsize 1.1 linecolor rgb '{}'",
        r + 1000, strip.x(left + 23), strip.y(middle), runs.styles[r].point, to_hex(runs.styles[r].colour)));
    script.add(fmt::format("set label {} {} at screen {:.6f},{:.6f} left", r + 100,
                           gnuplot_quoted(shortened(runs.runs[r].name, 44)), strip.x(left + 34),
                           strip.y(middle)));
  }
}

}  // namespace

std::string panel_svg(const Panel& panel, const PlottedRuns& runs) {
  const PictureSize size = {kWidth, panel.height};
  GnuplotScript script;
  panel.draw(script, runs, Strip(size));
  return draw_with_gnuplot(script, PictureFormat::kSvg, size,
                           {.is_inline = true, .id = "kvevict" + panel.id});
}

GnuplotScript comparison_script(const PlottedRuns& runs, PictureSize& size) {
  const std::vector<Panel> panels = comparison_panels(runs);
  size = {kWidth, legend_height(runs)};
  for (const Panel& panel : panels) size.height += panel.height;
  GnuplotScript script;
  script.add("set multiplot");
  add_legend(script, runs, Strip(size));
  int top = legend_height(runs);
  for (const Panel& panel : panels) {
    panel.draw(script, runs, Strip(size, top, panel.height));
    script.add("reset");
    top += panel.height;
  }
  script.add("unset multiplot");
  return script;
}

void save_comparison_picture(const std::vector<eval::NamedRun>& runs, const std::filesystem::path& path) {
  if (picture_format(path) == PictureFormat::kGif) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("a comparison is drawn as .png, .svg or .pdf, \"{}\" is something else", path.string()));
  }
  PictureSize size;
  const GnuplotScript script = comparison_script(plotted_runs(runs), size);
  save_with_gnuplot(script, size, path);
}

}  // namespace kvevict::plot
