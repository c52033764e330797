#include "results/label_scores.h"

#include <algorithm>
#include <vector>

#include "kvevict/error.h"
#include "text/unicode_text.h"

namespace kvevict::eval {
namespace {

/// The length of the run of decimal digits at `at`.
std::size_t n_digits(std::u32string_view text, std::size_t at) {
  std::size_t to = at;
  while (to < text.size() && is_python_digit(text[to])) ++to;
  return to - at;
}

double share_of_equal_numbers(std::u32string_view prediction, std::u32string_view number) {
  std::int64_t n_runs = 0;
  std::int64_t n_equal = 0;
  for (std::size_t at = 0; at < prediction.size();) {
    const std::size_t length = n_digits(prediction, at);
    if (length > 0) {
      ++n_runs;
      if (prediction.substr(at, length) == number) ++n_equal;
    }
    at += std::max<std::size_t>(length, 1);
  }
  return n_runs == 0 ? 0.0 : static_cast<double>(n_equal) / static_cast<double>(n_runs);
}

}  // namespace

double classification_score(std::string_view prediction, std::string_view answer,
                            std::span<const std::string> all_classes) {
  std::vector<std::string_view> matches;
  for (const std::string& name : all_classes) {
    if (prediction.find(name) != std::string_view::npos) matches.emplace_back(name);
  }
  for (std::size_t i = 0; i < matches.size(); ++i) {
    const std::string_view name = matches[i];
    if (name == answer || answer.find(name) == std::string_view::npos) continue;
    matches.erase(std::find(matches.begin(), matches.end(), name));
  }
  const bool is_right = std::find(matches.begin(), matches.end(), answer) != matches.end();
  return is_right ? 1.0 / static_cast<double>(matches.size()) : 0.0;
}

double count_score(std::string_view prediction, std::string_view number) {
  return share_of_equal_numbers(decode_utf8(prediction), decode_utf8(number));
}

double retrieval_score(std::string_view prediction, std::string_view answer, std::string_view label) {
  const std::u32string text = decode_utf8(answer);
  const std::u32string before = decode_utf8(label);
  for (std::size_t at = text.find(before); at != std::u32string::npos; at = text.find(before, at + 1)) {
    const std::size_t from = at + before.size();
    const std::size_t length = n_digits(text, from);
    if (length > 0) return share_of_equal_numbers(decode_utf8(prediction), text.substr(from, length));
  }
  throw Error(ErrorCode::kBadData, "the answer \"" + std::string(answer) + "\" names no paragraph: \"" +
                                       std::string(label) + "\" and a number is needed");
}

}  // namespace kvevict::eval
