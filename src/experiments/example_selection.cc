#include "experiments/example_selection.h"

#include <algorithm>
#include <charconv>

#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Shard parse_shard(const std::string& text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto number = whole_number(std::string_view(text).substr(0, slash));
  const auto n = whole_number(std::string_view(text).substr(std::min(slash + 1, text.size())));
  if (number && n && *number >= 1 && *number <= *n) return {*number, *n};
  throw Error(ErrorCode::kInvalidArgument,
              "the shard is \"" + text + "\": i/n is needed, the i-th of n parts, such as 1/4 to 4/4",
              "shard");
}

void keep_ids(std::vector<LongBenchExample>& examples, const std::vector<std::string>& ids,
              std::vector<std::string>& missing) {
  if (ids.empty()) return;
  std::erase_if(examples, [&](const LongBenchExample& example) {
    std::erase(missing, example.id);
    return std::find(ids.begin(), ids.end(), example.id) == ids.end();
  });
}

void keep_shard(std::vector<LongBenchExample>& examples, const Shard& shard, std::int64_t& n_documents) {
  std::vector<LongBenchExample> kept;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    if (i == 0 || examples[i].context != examples[i - 1].context) ++n_documents;
    if ((n_documents - 1) % shard.n == shard.number - 1) kept.push_back(examples[i]);
  }
  examples = std::move(kept);
}

}  // namespace kvevict::eval
