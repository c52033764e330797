#include "results/word_segmenter.h"

#include <algorithm>

#include "results/prefix_dictionary.h"
#include "results/word_hmm.h"
#include "text/unicode_text.h"

namespace kvevict::eval {
namespace {

using View = std::u32string_view;

bool is_han(char32_t c) {
  return c >= 0x4E00 && c <= 0x9FD5;
}
bool is_latin_or_digit(char32_t c) {
  return (c >= U'0' && c <= U'9') || (c >= U'A' && c <= U'Z') || (c >= U'a' && c <= U'z');
}
bool is_digit(char32_t c) {
  return c >= U'0' && c <= U'9';
}
/// jieba's re_han_default: what the dictionary is asked about.
bool is_block_character(char32_t c) {
  return is_han(c) || is_latin_or_digit(c) || View(U"+#&._%-").find(c) != View::npos;
}

/// The length of the run from `from` on in which `belongs` says the same.
template <typename Predicate>
std::size_t run_length(View text, std::size_t from, Predicate belongs) {
  const bool first = belongs(text[from]);
  std::size_t to = from + 1;
  while (to < text.size() && belongs(text[to]) == first) ++to;
  return to - from;
}

/// Length of [a-zA-Z0-9]+(?:\.\d+)?%? at `from`; 0 if it does not match.
std::size_t latin_token_length(View text, std::size_t from) {
  std::size_t to = from;
  while (to < text.size() && is_latin_or_digit(text[to])) ++to;
  if (to == from) return 0;
  if (to + 1 < text.size() && text[to] == U'.' && is_digit(text[to + 1])) {
    for (++to; to < text.size() && is_digit(text[to]);) ++to;
  }
  if (to < text.size() && text[to] == U'%') ++to;
  return to - from;
}

}  // namespace

struct WordSegmenter::Impl {
  explicit Impl(const std::filesystem::path& folder)
      : dictionary(folder / "dict.txt"), hmm(folder / "hmm.json") {}

  PrefixDictionary dictionary;
  WordHmm hmm;

  /// finalseg.cut: Han runs by the model, the rest by the pattern of Latin words and numbers.
  void cut_unknown(View text, std::vector<View>& words) const {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t n = run_length(text, at, is_han);
      const View run = text.substr(at, n);
      at += n;
      if (is_han(run[0])) {
        const auto han_words = hmm.cut(run);
        words.insert(words.end(), han_words.begin(), han_words.end());
        continue;
      }
      std::size_t rest = 0;  // begin of what the pattern did not match
      for (std::size_t i = 0; i < run.size();) {
        const std::size_t length = latin_token_length(run, i);
        if (length == 0) {
          ++i;
          continue;
        }
        if (rest < i) words.push_back(run.substr(rest, i - rest));
        words.push_back(run.substr(i, length));
        rest = i += length;
      }
      if (rest < run.size()) words.push_back(run.substr(rest));
    }
  }

  /// A run of single characters that the route left over.
  void cut_singles(View singles, std::vector<View>& words) const {
    if (singles.size() > 1 && dictionary.frequency(singles) == 0) {
      cut_unknown(singles, words);
      return;
    }
    for (std::size_t i = 0; i < singles.size(); ++i) words.push_back(singles.substr(i, 1));
  }

  /// For every start the end (exclusive) of the word on the best route through the block.
  [[nodiscard]] std::vector<std::size_t> best_route(View block) const {
    std::vector<double> score(block.size() + 1, 0.0);
    std::vector<std::size_t> word_end(block.size());
    for (std::size_t from = block.size(); from-- > 0;) {
      std::vector<std::size_t> lengths = dictionary.words_at_start(block.substr(from));
      if (lengths.empty()) lengths.push_back(1);
      bool is_first = true;
      for (const std::size_t length : lengths) {
        const std::size_t to = from + length;
        const double s =
            dictionary.log_frequency(block.substr(from, length)) - dictionary.log_total() + score[to];
        if (is_first || s >= score[from]) {  // equal scores: the longer word
          score[from] = s;
          word_end[from] = to;
        }
        is_first = false;
      }
    }
    return word_end;
  }

  void cut_block(View block, std::vector<View>& words) const {
    const std::vector<std::size_t> word_end = best_route(block);
    std::size_t singles = 0;  // begin of the pending run of single characters
    std::size_t at = 0;
    while (at < block.size()) {
      const std::size_t to = word_end[at];
      if (to - at > 1) {
        if (singles < at) cut_singles(block.substr(singles, at - singles), words);
        words.push_back(block.substr(at, to - at));
        singles = to;
      }
      at = to;
    }
    if (singles < at) cut_singles(block.substr(singles), words);
  }
};

WordSegmenter::WordSegmenter(const std::filesystem::path& folder) : impl_(std::make_unique<Impl>(folder)) {}
WordSegmenter::~WordSegmenter() = default;
WordSegmenter::WordSegmenter(WordSegmenter&&) noexcept = default;
WordSegmenter& WordSegmenter::operator=(WordSegmenter&&) noexcept = default;

std::vector<std::string> WordSegmenter::cut(std::string_view utf8) const {
  const std::u32string decoded = decode_utf8(utf8);
  const View text(decoded);
  std::vector<View> words;
  for (std::size_t at = 0; at < text.size();) {
    if (is_block_character(text[at])) {
      const std::size_t n = run_length(text, at, is_block_character);
      impl_->cut_block(text.substr(at, n), words);
      at += n;
    } else {
      const std::size_t n = text[at] == U'\r' && at + 1 < text.size() && text[at + 1] == U'\n' ? 2 : 1;
      words.push_back(text.substr(at, n));
      at += n;
    }
  }
  std::vector<std::string> result;
  result.reserve(words.size());
  for (const View word : words) result.push_back(encode_utf8(word));
  return result;
}

}  // namespace kvevict::eval
