#pragma once

#include <span>
#include <stdexcept>

namespace kvevict::test {

/// Something that is not as llama.cpp alone has it. `what()` is one sentence.
class WrongResult : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The most that our logits differ from llama.cpp's own, relative to the largest of those.
class LargestDifference {
 public:
  static constexpr double kMost = 1e-4;

  /// `most`: a larger difference is a wrong result.
  explicit LargestDifference(double most = kMost) noexcept : most_(most) {}

  /// Throws `WrongResult` for a row of another length, a number that is not finite and a difference that is
  /// too large; `when` says what was compared.
  void compare(std::span<const float> ours, std::span<const float> theirs, const char* when);

  [[nodiscard]] double value() const noexcept { return value_; }

 private:
  double most_;
  double value_ = 0;
};

/// The largest difference of two rows of logits, relative to the largest of `theirs`; not finite if a number
/// is not.
[[nodiscard]] double relative_difference(std::span<const float> ours, std::span<const float> theirs);

}  // namespace kvevict::test
