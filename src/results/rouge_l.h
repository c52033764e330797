#pragma once

#include <string_view>

#include "results/word_segmenter.h"

namespace kvevict::eval {

/// ROUGE-L's f as the Python package rouge 1.0.1 computes it (summary level, exclusive), 0 … 1.
///
/// Quirks that are kept, so that scores compare with published ones: sentences end at "." alone;
/// counts are of distinct words; a perfect match gives 0.999999995; a side without a sentence gives 0;
/// and a pair of sentences whose common subsequence takes more recursive calls than CPython's limit
/// allows makes the whole score 0.
/// Source: `rouge_score` of LongBench (metrics.py at 2e00731). O(words x words) for each pair of sentences.
[[nodiscard]] double english_rouge_l(std::string_view prediction, std::string_view answer);

/// The same over the words of jieba, joined by blanks. Source: `rouge_zh_score` there.
[[nodiscard]] double chinese_rouge_l(const WordSegmenter& segmenter, std::string_view prediction,
                                     std::string_view answer);

}  // namespace kvevict::eval
