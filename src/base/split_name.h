#pragma once

#include <optional>
#include <string>
#include <vector>

namespace kvevict {

/// The name of a part of a split GGUF file: "model-00002-of-00003.gguf".
struct SplitName {
  std::string stem;  ///< What all parts begin with: "model", with the folder if there is one.
  int number = 0;    ///< From 1 on.
  int n_parts = 0;

  /// The name of part `number`.
  [[nodiscard]] std::string part(int number) const;
  /// The names of all parts, in order.
  [[nodiscard]] std::vector<std::string> all_parts() const;
};

/// Nothing for a name that is not of that form, or whose number is not 1 … n_parts.
[[nodiscard]] std::optional<SplitName> parse_split_name(const std::string& path);

}  // namespace kvevict
