#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvevict::eval {

/// jieba's dictionary: words with frequencies, searchable by prefix.
class PrefixDictionary {
 public:
  /// Reads "word frequency tag" lines. A word that stands twice has the later frequency; the total
  /// counts both, as jieba does. Errors: kNotFound, kBadData naming the line.
  explicit PrefixDictionary(const std::filesystem::path& path);

  /// Lengths of the words that `text` begins with, ascending. O(longest match · log words).
  [[nodiscard]] std::vector<std::size_t> words_at_start(std::u32string_view text) const;

  /// The frequency of `word`; 0 if it is no word.
  [[nodiscard]] std::int64_t frequency(std::u32string_view word) const;

  /// log(frequency or 1), as jieba weighs a word.
  [[nodiscard]] double log_frequency(std::u32string_view word) const;

  /// log of the sum of all frequencies.
  [[nodiscard]] double log_total() const noexcept { return log_total_; }

 private:
  struct Entry {
    std::uint32_t offset;
    std::uint32_t length;
    std::int64_t frequency;
  };
  [[nodiscard]] std::u32string_view word(const Entry& entry) const {
    return std::u32string_view(characters_).substr(entry.offset, entry.length);
  }
  void sort_and_drop_repeats();

  std::u32string characters_;   // all words, one after the other
  std::vector<Entry> entries_;  // sorted by word
  double log_total_ = 0;
};

}  // namespace kvevict::eval
