#pragma once

#include <string>
#include <vector>

namespace kvevict::cli {

/// A plain-text table: the first column left, the others right, two spaces between.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace kvevict::cli
