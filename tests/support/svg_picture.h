#pragma once

#include <regex>
#include <string>
#include <vector>

namespace kvevict {

/// A filled polygon of a gnuplot SVG by its bounding box, in pixels.
struct SvgBox {
  unsigned colour = 0;  ///< 0xRRGGBB
  double left = 0, right = 0, top = 0, bottom = 0;
};

inline unsigned svg_colour(const std::smatch& match) {
  return static_cast<unsigned>(std::stoul(match[1]) << 16U | std::stoul(match[2]) << 8U |
                               std::stoul(match[3]));
}

/// All "x,y" pairs of a text.
inline std::vector<std::pair<double, double>> svg_points(const std::string& text) {
  static const std::regex pair(R"((-?[0-9.]+),(-?[0-9.]+))");
  std::vector<std::pair<double, double>> points;
  for (std::sregex_iterator i(text.begin(), text.end(), pair), end; i != end; ++i) {
    points.emplace_back(std::stod((*i)[1]), std::stod((*i)[2]));
  }
  return points;
}

inline std::vector<SvgBox> svg_boxes(const std::string& svg) {
  static const std::regex polygon(
      R"(<polygon fill = 'rgb\( *([0-9]+), *([0-9]+), *([0-9]+)\)' points = '([^']*)')");
  std::vector<SvgBox> boxes;
  for (std::sregex_iterator i(svg.begin(), svg.end(), polygon), end; i != end; ++i) {
    SvgBox box{svg_colour(*i), 1e9, -1e9, 1e9, -1e9};
    for (const auto& [x, y] : svg_points((*i)[4])) {
      box.left = std::min(box.left, x);
      box.right = std::max(box.right, x);
      box.top = std::min(box.top, y);
      box.bottom = std::max(box.bottom, y);
    }
    boxes.push_back(box);
  }
  return boxes;
}

/// A dashed line by its last two points: the first two are its sample in the legend.
struct SvgLine {
  unsigned colour = 0;
  double x = 0, top = 0, bottom = 0;
};

inline std::vector<SvgLine> svg_dashed_lines(const std::string& svg) {
  static const std::regex path(
      R"(<path stroke='rgb\( *([0-9]+), *([0-9]+), *([0-9]+)\)' stroke-dasharray='[^']*' +d='([^']*)')");
  std::vector<SvgLine> lines;
  for (std::sregex_iterator i(svg.begin(), svg.end(), path), end; i != end; ++i) {
    const auto points = svg_points((*i)[4]);
    if (points.size() != 4) continue;
    lines.push_back({svg_colour(*i), points[2].first, points[2].second, points[3].second});
  }
  return lines;
}

/// The texts, as they are written in the file: escaped.
inline std::vector<std::string> svg_texts(const std::string& svg) {
  static const std::regex text(R"(<text>([^\n]*)</text>)");
  std::vector<std::string> texts;
  for (std::sregex_iterator i(svg.begin(), svg.end(), text), end; i != end; ++i) texts.push_back((*i)[1]);
  return texts;
}

}  // namespace kvevict
