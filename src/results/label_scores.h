#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kvevict::eval {

/// 1 / (number of class names found in `prediction`) if `answer` is one of them, else 0. Names that are
/// part of the answer are dropped from the matches the way Python's loop over a list that it shortens does
/// it: the name behind a dropped one is passed over.
/// Source: `classification_score` of LongBench (metrics.py at 2e00731).
[[nodiscard]] double classification_score(std::string_view prediction, std::string_view answer,
                                          std::span<const std::string> all_classes);

/// The share of the digit runs (any Unicode decimal digits) of `prediction` that equal `number` as text;
/// 0 without digits. Source: `count_score` there.
[[nodiscard]] double count_score(std::string_view prediction, std::string_view number);

/// `count_score` with the digits that follow `label` in `answer` ("Paragraph ", "段落"): the first match.
/// Errors: kBadData if the answer has none. Source: `retrieval_score` and `retrieval_zh_score` there.
[[nodiscard]] double retrieval_score(std::string_view prediction, std::string_view answer,
                                     std::string_view label);

}  // namespace kvevict::eval
