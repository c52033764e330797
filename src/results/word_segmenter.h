#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kvevict::eval {

/// Chinese word segmentation, equal to `jieba.cut(text)` of jieba 0.42.1 (accurate mode, with the
/// hidden Markov model), with jieba's own dictionary and tables.
///
/// Source: jieba/__init__.py (`Tokenizer.cut`) and jieba/finalseg of the PyPI package jieba 0.42.1.
/// Thread safety: const members may be called from several threads.
class WordSegmenter {
 public:
  /// Reads `dict.txt` and `hmm.json` from `folder`, in some tenths of a second, about 40 MB.
  /// Errors: kNotFound, kBadData.
  explicit WordSegmenter(const std::filesystem::path& folder);
  ~WordSegmenter();
  WordSegmenter(WordSegmenter&&) noexcept;
  WordSegmenter& operator=(WordSegmenter&&) noexcept;

  /// The words of `utf8`, in order; joined they give the text again. Bytes that are not UTF-8 count
  /// as U+FFFD. O(length x longest word).
  [[nodiscard]] std::vector<std::string> cut(std::string_view utf8) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict::eval
