#include "plot/layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "text/unicode_text.h"

namespace kvevict::plot {

void add_margins(GnuplotScript& script, const Margins& margins, const Strip& strip) {
  script.add(fmt::format("set lmargin at screen {:.6f}\nset rmargin at screen {:.6f}", strip.x(margins.left),
                         strip.x(strip.picture.width - margins.right)));
  script.add(fmt::format("set tmargin at screen {:.6f}\nset bmargin at screen {:.6f}", strip.y(margins.top),
                         strip.y(strip.height - margins.bottom)));
}

void add_titles(GnuplotScript& script, std::string_view title, std::string_view second,
                const Margins& margins, const Strip& strip) {
  const double left = strip.x(std::min(margins.left, 64));
  const int room = strip.picture.width - std::min(margins.left, 64) - margins.right;
  const auto n_title = static_cast<std::size_t>(room / 8.5);
  const auto n_second = static_cast<std::size_t>(room / 7.0);
  script.add(fmt::format("set label 1 {} at screen {:.6f},{:.6f} left font ',13'",
                         gnuplot_quoted(shortened(title, n_title)), left, strip.y(22)));
  script.add(fmt::format("set label 2 {} at screen {:.6f},{:.6f} left textcolor rgb '{}'",
                         gnuplot_quoted(shortened(second, n_second)), left, strip.y(44), to_hex(0x555555)));
}

std::string quoted_tick(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped += c == '%' ? std::string("%%") : std::string(1, c);
  return gnuplot_quoted(escaped);
}

std::string shortened(std::string_view text, std::size_t n) {
  std::u32string characters = decode_utf8(text);
  if (characters.size() <= n) return encode_utf8(characters);
  characters.resize(n > 0 ? n - 1 : 0);
  return encode_utf8(characters) + "…";
}

void add_plain_axes(GnuplotScript& script) {
  script.add(
      "set border 3\nset tics nomirror scale 0.4\nset format x '%.0f'\nset style fill solid 1 noborder");
}

std::string boxes(std::string_view data, Colour colour, std::string_view title) {
  return fmt::format("${} using (($1+$2)/2):(($3+$4)/2):1:2:3:4 with boxxyerror linecolor rgb '{}' {}", data,
                     to_hex(colour), title.empty() ? "notitle" : "title " + gnuplot_quoted(title));
}

std::string dashed_line(std::string_view data, Colour colour, std::string_view title) {
  return fmt::format("${} using 1:2 with lines dashtype (8,5) linewidth 2 linecolor rgb '{}' title {}", data,
                     to_hex(colour), gnuplot_quoted(title));
}

void require_layer(int layer, int n_layers) {
  if (layer >= 0 && layer < n_layers) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("layer {} of {} cannot be drawn: a number from 0 to {} is needed", layer, n_layers,
                          n_layers - 1));
}

std::string layer_label(const StrategySpec& spec, int layer, int n_layers) {
  return make_policy(spec)->is_per_layer() ? fmt::format(", layer {} of {}", layer, n_layers) : "";
}

}  // namespace kvevict::plot
