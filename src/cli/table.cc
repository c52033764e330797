#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvevict::cli {

std::string Table::text() const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    for (std::size_t i = 0; i < rows_[r].size(); ++i) {
      text += i == 0 ? fmt::format("{:<{}}", rows_[r][i], widths[i])
                     : fmt::format("{:>{}}", rows_[r][i], widths[i] + gap_);
    }
    text += '\n';
    if (r > 0) continue;
    for (std::size_t i = 0; i < widths.size(); ++i) text += std::string(widths[i] + (i == 0 ? 0 : gap_), '-');
    text += '\n';
  }
  return text;
}

}  // namespace kvevict::cli
