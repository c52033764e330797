#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kvevict/strategy_spec.h"
#include "plot/gnuplot.h"

namespace kvevict::plot {

/// The part of a picture that is left to the axes, in pixels from its edges.
struct Margins {
  int left = 64;
  int right = 18;
  int top = 64;
  int bottom = 100;
};

/// A horizontal strip of a picture, in pixels: several panels stand under each other.
struct Strip {
  PictureSize picture;
  int top = 0;
  int height = 0;

  /// The whole picture.
  explicit Strip(PictureSize whole) : picture(whole), height(whole.height) {}
  Strip(PictureSize whole, int from_top, int n_high) : picture(whole), top(from_top), height(n_high) {}
  /// gnuplot's screen coordinates of a place given in pixels from the strip's upper left corner.
  [[nodiscard]] double x(double from_left) const { return from_left / picture.width; }
  [[nodiscard]] double y(double from_top) const { return 1 - (top + from_top) / picture.height; }
};

/// Fixes the axes' place in a strip.
void add_margins(GnuplotScript& script, const Margins& margins, const Strip& strip);

/// A title and a quieter second line above the axes, each cut with "…" if the picture is too narrow.
void add_titles(GnuplotScript& script, std::string_view title, std::string_view second,
                const Margins& margins, const Strip& strip);

/// `text` as the label of a tick, if gnuplot would replace what begins with "%".
[[nodiscard]] std::string quoted_tick(std::string_view text);

/// `text`, cut with "…" to at most `n` characters.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t n);

/// Axes left and below, small ticks, whole numbers of tokens.
void add_plain_axes(GnuplotScript& script);

/// A command that plots boxes `x_low x_high y_low y_high` of the data block.
[[nodiscard]] std::string boxes(std::string_view data, Colour colour, std::string_view title);

/// A command that draws the data block's points as a dashed line.
[[nodiscard]] std::string dashed_line(std::string_view data, Colour colour, std::string_view title);

/// Errors: kInvalidArgument if there is no layer `layer` of `n_layers`.
void require_layer(int layer, int n_layers);

/// ", layer 3 of 30" for a strategy whose layers keep other tokens, else nothing.
[[nodiscard]] std::string layer_label(const StrategySpec& spec, int layer, int n_layers);

}  // namespace kvevict::plot
