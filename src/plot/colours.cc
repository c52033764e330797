#include "plot/colours.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "kvevict/registry.h"

namespace kvevict::plot {
namespace {

constexpr std::array<Colour, 3> kOtherColours = {0xB8A900, 0x5E3C99, 0x1B1B1B};

/// The same number for the same name everywhere: std::hash promises less.
std::size_t stable_hash(std::string_view text) {
  std::size_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U % 4294967296U;
  return hash;
}

}  // namespace

Colour strategy_colour(std::string_view strategy) {
  for (const PolicyInfo& info : all_policies()) {
    if (info.name == strategy && info.colour != 0) return info.colour;
  }
  return kOtherColours[stable_hash(strategy) % kOtherColours.size()];
}

Colour mix(Colour from, Colour to, double share) {
  Colour mixed = 0;
  for (const unsigned shift : {16U, 8U, 0U}) {
    const auto a = static_cast<double>(from >> shift & 0xFFU);
    const auto b = static_cast<double>(to >> shift & 0xFFU);
    mixed |= static_cast<Colour>(std::lround(a + (b - a) * std::clamp(share, 0.0, 1.0))) << shift;
  }
  return mixed;
}

std::vector<RunStyle> run_styles(const std::vector<std::string>& strategies) {
  constexpr std::array kPoints = {7, 5, 9, 13,
                                  11};  // filled circle, square, triangle, pentagon, triangle down
  std::map<std::string, int> n_seen;
  std::vector<RunStyle> styles;
  for (const std::string& strategy : strategies) {
    const int number = n_seen[strategy]++;
    const double paleness = 0.65 * number / (number + 1.0);
    styles.push_back({mix(strategy_colour(strategy), 0xFFFFFF, paleness),
                      kPoints[static_cast<std::size_t>(number) % kPoints.size()]});
  }
  return styles;
}

}  // namespace kvevict::plot
