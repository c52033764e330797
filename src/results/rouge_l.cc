#include "results/rouge_l.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/unicode_text.h"

namespace kvevict::eval {
namespace {

using WordId = std::int32_t;
using Sentence = std::vector<WordId>;
using Sentences = std::vector<Sentence>;

/// Calls of the package's recursive walk before CPython 3.11 (limit 1000) raises RecursionError, as deep
/// in the stack as LongBench's eval.py calls it; one frame deeper for Chinese.
constexpr std::int64_t kMostCallsEnglish = 991;
constexpr std::int64_t kMostCallsChinese = 990;

/// Numbers for words, equal for equal words.
class Vocabulary {
 public:
  WordId id(const std::u32string& word) {
    return ids_.emplace(word, static_cast<WordId>(ids_.size())).first->second;
  }

 private:
  std::unordered_map<std::u32string, WordId> ids_;
};

/// The pieces between full stops that are not empty, as words; a piece of white space is one empty word.
Sentences split_sentences(std::u32string_view text, Vocabulary& vocabulary) {
  Sentences sentences;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t stop = std::min(text.find(U'.', at), text.size());
    if (stop > at) {
      Sentence sentence;
      for (const std::u32string& word : split_at_spaces(text.substr(at, stop - at)))
        sentence.push_back(vocabulary.id(word));
      if (sentence.empty()) sentence.push_back(vocabulary.id(U""));
      sentences.push_back(std::move(sentence));
    }
    at = stop + 1;
  }
  return sentences;
}

/// Lengths of the longest common subsequences of all prefixes of two sentences.
class LcsTable {
 public:
  LcsTable(const Sentence& reference, const Sentence& hypothesis)
      : n_columns_(hypothesis.size() + 1), cells_((reference.size() + 1) * n_columns_, 0) {
    for (std::size_t i = 1; i <= reference.size(); ++i) {
      for (std::size_t j = 1; j <= hypothesis.size(); ++j) {
        cells_[i * n_columns_ + j] = reference[i - 1] == hypothesis[j - 1]
                                         ? at(i - 1, j - 1) + 1
                                         : std::max(at(i - 1, j), at(i, j - 1));
      }
    }
  }
  [[nodiscard]] std::int32_t at(std::size_t i, std::size_t j) const { return cells_[i * n_columns_ + j]; }

 private:
  std::size_t n_columns_;
  std::vector<std::int32_t> cells_;
};

/// Adds the words of one common subsequence, walking back from the ends; equal lengths: along the
/// hypothesis. Returns the calls that the package's recursion takes.
std::int64_t add_common_words(const Sentence& reference, const Sentence& hypothesis,
                              std::set<WordId>& common) {
  const LcsTable table(reference, hypothesis);
  std::int64_t n_calls = 1;
  for (std::size_t i = reference.size(), j = hypothesis.size(); i > 0 && j > 0; ++n_calls) {
    if (reference[i - 1] == hypothesis[j - 1]) {
      common.insert(reference[i - 1]);
      --i;
      --j;
    } else if (table.at(i - 1, j) > table.at(i, j - 1)) {
      --i;
    } else {
      --j;
    }
  }
  return n_calls;
}

double n_distinct_words(const Sentences& sentences) {
  std::set<WordId> words;
  for (const Sentence& sentence : sentences) words.insert(sentence.begin(), sentence.end());
  return static_cast<double>(words.size());
}

double rouge_l(std::u32string_view prediction, std::u32string_view answer, std::int64_t n_most_calls) {
  Vocabulary vocabulary;
  const Sentences hypotheses = split_sentences(prediction, vocabulary);
  const Sentences references = split_sentences(answer, vocabulary);
  if (hypotheses.empty() || references.empty()) return 0.0;
  std::set<WordId> common;
  for (const Sentence& reference : references) {
    for (const Sentence& hypothesis : hypotheses) {
      if (add_common_words(reference, hypothesis, common) > n_most_calls) return 0.0;
    }
  }
  const double recall = static_cast<double>(common.size()) / n_distinct_words(references);
  const double precision = static_cast<double>(common.size()) / n_distinct_words(hypotheses);
  return 2.0 * ((precision * recall) / (precision + recall + 1e-8));
}

std::u32string joined_words(const WordSegmenter& segmenter, std::string_view text) {
  std::string joined;
  for (const std::string& word : segmenter.cut(text)) joined += (joined.empty() ? "" : " ") + word;
  return decode_utf8(joined);
}

}  // namespace

double english_rouge_l(std::string_view prediction, std::string_view answer) {
  return rouge_l(decode_utf8(prediction), decode_utf8(answer), kMostCallsEnglish);
}

double chinese_rouge_l(const WordSegmenter& segmenter, std::string_view prediction, std::string_view answer) {
  return rouge_l(joined_words(segmenter, prediction), joined_words(segmenter, answer), kMostCallsChinese);
}

}  // namespace kvevict::eval
