#include "plot/html.h"

#include <fmt/format.h>

#include "text/unicode_text.h"

namespace kvevict::plot {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : encode_utf8(decode_utf8(text))) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      case '\0':
        escaped += "\xEF\xBF\xBD";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string HtmlTable::html() const {
  std::string html = "<div class=\"scroll\"><table class=\"sortable\"><thead><tr>";
  for (std::size_t i = 0; i < header_.size(); ++i) {
    const bool is_number = !rows_.empty() && i < rows_.back().size() && rows_.back()[i].number;
    html += fmt::format("<th scope=\"col\"{}><button type=\"button\">{}</button></th>",
                        is_number ? " class=\"number\"" : "", html_escaped(header_[i]));
  }
  html += "</tr></thead><tbody>\n";
  for (const auto& row : rows_) {
    html += "<tr>";
    for (const HtmlCell& cell : row) {
      html +=
          cell.number ? fmt::format("<td class=\"number\" data-value=\"{:.10g}\">", *cell.number) : "<td>";
      if (cell.chip)
        html += fmt::format("<span class=\"chip\" style=\"background:{}\"></span>", to_hex(*cell.chip));
      html += html_escaped(cell.text) + "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string inline_svg(std::string svg, const std::string& id) {
  const std::size_t begin = svg.find("<svg");
  svg.erase(0, begin == std::string::npos ? 0 : begin);
  for (const char* const name : {"gp", "textbox", "greybox"}) {
    replace_all(svg, fmt::format("id='{}", name), fmt::format("id='{}-{}", id, name));
  }
  replace_all(svg, "'#gp", fmt::format("'#{}-gp", id));
  replace_all(svg, "gnuplot_canvas", id + "-canvas");
  return svg;
}

std::string script_json(std::string_view json) {
  std::string safe(json);
  replace_all(safe, "<", "\\u003c");
  replace_all(safe, "\xE2\x80\xA8", "\\u2028");
  replace_all(safe, "\xE2\x80\xA9", "\\u2029");
  return safe;
}

}  // namespace kvevict::plot
