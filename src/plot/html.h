#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plot/gnuplot.h"

namespace kvevict::plot {

/// `text` for HTML content and quoted attributes: valid UTF-8, without markup.
[[nodiscard]] std::string html_escaped(std::string_view text);

/// A cell of a table.
struct HtmlCell {
  std::string text;              ///< Not yet escaped.
  std::optional<double> number;  ///< What it sorts by; else by its text.
  std::optional<Colour> chip;    ///< A square of this colour before the text.
};

/// A table whose columns sort at a click (with the page's script).
class HtmlTable {
 public:
  explicit HtmlTable(std::vector<std::string> header) : header_(std::move(header)) {}
  void add(std::vector<HtmlCell> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string html() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<HtmlCell>> rows_;
};

/// An SVG file as an element of a page: no prologue, ids that begin with `id`.
[[nodiscard]] std::string inline_svg(std::string svg, const std::string& id);

/// JSON text for the inside of a script element: nothing in it can end the element.
[[nodiscard]] std::string script_json(std::string_view json);

}  // namespace kvevict::plot
