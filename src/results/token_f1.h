#pragma once

#include <string_view>

#include "results/word_segmenter.h"

namespace kvevict::eval {

/// F1 of two bags of words, 0 … 1: English words, lower-cased, without punctuation and articles.
/// Source: `qa_f1_score` and `normalize_answer` of LongBench (metrics.py at 2e00731).
[[nodiscard]] double english_token_f1(std::string_view prediction, std::string_view answer);

/// The same with the words of jieba, without ASCII and Chinese punctuation.
/// Source: `qa_f1_zh_score` and `normalize_zh_answer` there.
[[nodiscard]] double chinese_token_f1(const WordSegmenter& segmenter, std::string_view prediction,
                                      std::string_view answer);

}  // namespace kvevict::eval
