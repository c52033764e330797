#include "cli/architectures.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/paragraph.h"
#include "cli/table.h"
#include "hub/locations.h"
#include "text/json_reader.h"

namespace kvevict::cli {
namespace {

/// Reasons in the order in which they are first met; a cell has the number of its own.
class Reasons {
 public:
  [[nodiscard]] std::string number_of(const std::string& verdict) {
    auto found = std::find(verdicts_.begin(), verdicts_.end(), verdict);
    if (found == verdicts_.end()) found = verdicts_.insert(found, verdict);
    return std::to_string(found - verdicts_.begin() + 1);
  }

  [[nodiscard]] std::string text() const {
    std::string text;
    for (std::size_t i = 0; i < verdicts_.size(); ++i) {
      const std::string number = fmt::format("{:>3}  ", i + 1);
      text += number + paragraph(verdicts_[i], number.size(), true);
    }
    return text;
  }

 private:
  std::vector<std::string> verdicts_;
};

}  // namespace

std::string architectures_text(bool is_json) {
  const JsonReader::Json json =
      read_json_file(data_folder() / "models" / "architectures.json", "table of architectures");
  if (is_json) return json.dump(1) + "\n";
  const JsonReader root(json, "architectures.json");
  const std::vector<std::string> columns = root.member("columns").texts();
  std::vector<std::string> header = {"architecture"};
  header.insert(header.end(), columns.begin(), columns.end());
  Table table(header, 1);  // so that it fits a page
  Reasons reasons;
  root.member("architectures").for_each_item([&](const JsonReader& row) {
    std::vector<std::string> cells = {row.member("name").text()};
    for (const std::string& column : columns) {
      const std::string verdict = row.member(column.c_str()).text();
      cells.push_back(verdict == "yes" ? verdict : reasons.number_of(verdict));
    }
    table.add(cells);
  });
  return table.text() + "\n" +
         paragraph(fmt::format(
             "\"yes\": the same logits as {}'s llama.cpp alone with the same tokens taken away, in runs of a "
             "tiny model of the architecture. What the columns mean is in docs/models.md. A number: not so, "
             "since",
             root.member("llama_cpp").text())) +
         reasons.text();
}

}  // namespace kvevict::cli
