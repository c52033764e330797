#pragma once

#include <string_view>

namespace kvevict::eval {

/// fuzzywuzzy's ratio of the first line of code of `prediction` and `answer`, over 100, 0 … 1: the first
/// line without a backquote, "#" and "//", after leading new lines.
/// Source: `code_sim_score` of LongBench (metrics.py at 2e00731), in the environment of its
/// requirements.txt, which is without python-Levenshtein: the ratio is difflib's.
[[nodiscard]] double code_similarity(std::string_view prediction, std::string_view answer);

/// The value that `difflib.SequenceMatcher(None, a, b).ratio()` gives, autojunk included: characters
/// that make up more than 1 % of a `b` of 200 and more do not begin a match. O(a x b) at worst.
[[nodiscard]] double sequence_ratio(std::u32string_view a, std::u32string_view b);

}  // namespace kvevict::eval
