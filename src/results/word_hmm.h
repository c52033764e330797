#pragma once

#include <array>
#include <filesystem>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kvevict::eval {

/// jieba's hidden Markov model for words that the dictionary lacks (jieba/finalseg): each character
/// begins a word, is within one, ends one, or is one by itself.
class WordHmm {
 public:
  /// Reads `{"start": {state: p}, "trans": {state: {state: p}}, "emit": {state: {character: p}}}`,
  /// logarithms of probabilities. Errors: kNotFound, kBadData.
  explicit WordHmm(const std::filesystem::path& path);

  /// The words of a run of Han characters, as views into `han`. O(length).
  [[nodiscard]] std::vector<std::u32string_view> cut(std::u32string_view han) const;

 private:
  static constexpr std::size_t kStates = 4;
  [[nodiscard]] double emission(std::size_t state, char32_t c) const;
  [[nodiscard]] std::vector<std::size_t> best_states(std::u32string_view han) const;

  std::array<double, kStates> start_{};
  std::array<std::array<double, kStates>, kStates> transition_{};
  std::array<std::unordered_map<char32_t, double>, kStates> emission_;
};

}  // namespace kvevict::eval
