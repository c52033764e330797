#include "plot/layout.h"

#include <fmt/format.h>

#include "eval/unicode_text.h"

namespace kvevict {

void add_margins(GnuplotScript& script, const Margins& margins, PictureSize size) {
  const double width = size.width;
  const double height = size.height;
  script.add(fmt::format("set lmargin at screen {:.6f}\nset rmargin at screen {:.6f}", margins.left / width,
                         1 - margins.right / width));
  script.add(fmt::format("set tmargin at screen {:.6f}\nset bmargin at screen {:.6f}",
                         1 - margins.top / height, margins.bottom / height));
}

void add_titles(GnuplotScript& script, std::string_view title, std::string_view second,
                const Margins& margins, PictureSize size) {
  const double left = static_cast<double>(margins.left) / size.width;
  const auto place = [&](int from_top) { return 1 - static_cast<double>(from_top) / size.height; };
  const int room = size.width - margins.left - margins.right;
  const auto n_title = static_cast<std::size_t>(room / 8.5);
  const auto n_second = static_cast<std::size_t>(room / 7.0);
  script.add(fmt::format("set label 1 {} at screen {:.6f},{:.6f} left font ',{}'",
                         gnuplot_quoted(shortened(title, n_title)), left, place(22), 13));
  script.add(fmt::format("set label 2 {} at screen {:.6f},{:.6f} left textcolor rgb '{}'",
                         gnuplot_quoted(shortened(second, n_second)), left, place(44), to_hex(0x555555)));
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

}  // namespace kvevict
