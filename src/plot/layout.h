#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "plot/gnuplot.h"

namespace kvevict {

/// The part of a picture that is left to the axes, in pixels from its edges.
struct Margins {
  int left = 64;
  int right = 18;
  int top = 64;
  int bottom = 84;
};

/// Fixes the axes' place in a picture of `size`.
void add_margins(GnuplotScript& script, const Margins& margins, PictureSize size);

/// A title and a quieter second line above the axes, each cut with "…" where the picture is too narrow.
void add_titles(GnuplotScript& script, std::string_view title, std::string_view second,
                const Margins& margins, PictureSize size);

/// `text`, cut with "…" to at most `n` characters.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t n);

/// Axes left and below, small ticks, whole numbers of tokens.
void add_plain_axes(GnuplotScript& script);

/// A command that plots boxes `x_low x_high y_low y_high` of the data block.
[[nodiscard]] std::string boxes(std::string_view data, Colour colour, std::string_view title);

/// A command that draws the data block's points as a dashed line.
[[nodiscard]] std::string dashed_line(std::string_view data, Colour colour, std::string_view title);

}  // namespace kvevict
