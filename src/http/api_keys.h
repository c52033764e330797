#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvevict::http {

/// The keys that clients may show. Holds their hashes alone.
class ApiKeys {
 public:
  /// No keys: everybody may come, and all are one owner.
  explicit ApiKeys(const std::vector<std::string>& keys = {});

  [[nodiscard]] bool are_needed() const noexcept { return !digests_.empty(); }

  /// Whose request it is that brings this header "Authorization"; nothing if it brings none of the keys.
  /// Takes as long whichever key it is, and however much of it is right.
  [[nodiscard]] std::optional<std::string> owner_of(std::string_view authorization) const;

 private:
  std::vector<std::string> digests_{};
};

}  // namespace kvevict::http
