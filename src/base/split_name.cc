#include "base/split_name.h"

#include <cstdio>
#include <regex>

namespace kvevict {

std::string SplitName::part(int number) const {
  char ending[48];  // two numbers of at most ten digits
  std::snprintf(ending, sizeof ending, "-%05d-of-%05d.gguf", number, n_parts);
  return stem + ending;
}

std::vector<std::string> SplitName::all_parts() const {
  std::vector<std::string> names;
  for (int i = 1; i <= n_parts; ++i) names.push_back(part(i));
  return names;
}

std::optional<SplitName> parse_split_name(const std::string& path) {
  // the path in front may hold what "." of a regular expression does not match, so only the ending is asked
  static const std::regex kEnding("-([0-9]{5})-of-([0-9]{5})\\.gguf$");
  std::smatch match;
  if (!std::regex_search(path, match, kEnding)) return std::nullopt;
  SplitName name{match.prefix().str(), std::stoi(match[1].str()), std::stoi(match[2].str())};
  if (name.number < 1 || name.number > name.n_parts) return std::nullopt;
  return name;
}

}  // namespace kvevict
