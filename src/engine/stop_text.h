#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvevict {

/// Ends a text that comes piece by piece where one of several texts begins. What may be the beginning of one
/// is held back.
class StopText {
 public:
  /// `stops`: none of them empty.
  explicit StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// What can be given out once `text` has come too: up to the first stop, or to where one may begin.
  [[nodiscard]] std::string add(std::string_view text);

  /// What was held back, where nothing comes any more; empty behind a stop.
  [[nodiscard]] std::string take_rest();

  [[nodiscard]] bool is_reached() const noexcept { return is_reached_; }

 private:
  [[nodiscard]] std::size_t begin_of_possible_stop() const;

  std::vector<std::string> stops_;
  std::string held_back_;
  bool is_reached_ = false;
};

}  // namespace kvevict
