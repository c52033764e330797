#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plot/gnuplot.h"

namespace kvevict::plot {

// Okabe and Ito's palette (2008), which the colour-blind can tell apart, and greys.
inline constexpr Colour kKeptColour = 0x0072B2;
inline constexpr Colour kEvictedColour = 0xD0D0D0;
inline constexpr Colour kSinkColour = 0xD55E00;
inline constexpr Colour kRecentColour = 0x009E73;
inline constexpr Colour kQuietTextColour = 0x555555;

/// The colour of a strategy by its registry name: the same in every picture.
[[nodiscard]] Colour strategy_colour(std::string_view strategy);

/// `from` for share 0, `to` for share 1, and what lies between.
[[nodiscard]] Colour mix(Colour from, Colour to, double share);

/// A run's colour and the number of its gnuplot point type.
struct RunStyle {
  Colour colour = 0;
  int point = 7;
};

/// The styles of runs of these strategies (registry names): each strategy's own colour, paler for the
/// second and later run of one strategy, which also have points of other shapes.
[[nodiscard]] std::vector<RunStyle> run_styles(const std::vector<std::string>& strategies);

}  // namespace kvevict::plot
