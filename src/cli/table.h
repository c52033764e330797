#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace kvevict::cli {

/// A plain-text table: the first column left, the others right, `gap` spaces between.
class Table {
 public:
  explicit Table(std::vector<std::string> header, std::size_t gap = 2)
      : rows_{std::move(header)}, gap_(gap) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::size_t gap_;
};

}  // namespace kvevict::cli
