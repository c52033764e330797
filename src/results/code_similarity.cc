#include "results/code_similarity.h"

#include <cmath>
#include <cstddef>
#include <unordered_map>
#include <vector>

#include "text/unicode_text.h"

namespace kvevict::eval {
namespace {

using View = std::u32string_view;

struct Match {
  std::size_t a, b, length;
};

/// A part of either text: [a_from, a_to) and [b_from, b_to).
struct Window {
  std::size_t a_from, a_to, b_from, b_to;
};

class SequenceMatcher {
 public:
  SequenceMatcher(View a, View b) : a_(a), b_(b), lengths_(b.size() + 1, 0) {
    for (std::size_t j = 0; j < b.size(); ++j) places_[b[j]].push_back(j);
    constexpr std::size_t kLong = 200;
    if (b.size() < kLong) return;
    std::erase_if(places_, [&](const auto& item) { return item.second.size() > b.size() / 100 + 1; });
  }

  /// Characters in all matching blocks.
  [[nodiscard]] std::size_t n_matching() {
    std::size_t n = 0;
    std::vector<Window> open = {{0, a_.size(), 0, b_.size()}};
    while (!open.empty()) {
      const Window w = open.back();
      open.pop_back();
      const Match match = longest_match(w);
      if (match.length == 0) continue;
      n += match.length;
      if (w.a_from < match.a && w.b_from < match.b) open.push_back({w.a_from, match.a, w.b_from, match.b});
      const std::size_t a_end = match.a + match.length;
      const std::size_t b_end = match.b + match.length;
      if (a_end < w.a_to && b_end < w.b_to) open.push_back({a_end, w.a_to, b_end, w.b_to});
    }
    return n;
  }

 private:
  /// The longest run that begins with a character that is not too common, the earliest in a and then in b
  /// among equals, stretched to either side over any equal characters.
  [[nodiscard]] Match longest_match(const Window& w) {
    Match best{w.a_from, w.b_from, 0};
    std::vector<std::size_t> touched;  // places in b whose run length (of the row before) is not 0
    for (std::size_t i = w.a_from; i < w.a_to; ++i) {
      std::vector<std::pair<std::size_t, std::size_t>> row;
      if (const auto found = places_.find(a_[i]); found != places_.end()) {
        for (const std::size_t j : found->second) {
          if (j < w.b_from) continue;
          if (j >= w.b_to) break;
          const std::size_t length = lengths_[j] + 1;
          row.emplace_back(j, length);
          if (length > best.length) best = {i + 1 - length, j + 1 - length, length};
        }
      }
      for (const std::size_t j : touched) lengths_[j + 1] = 0;
      touched.clear();
      for (const auto& [j, length] : row) {
        lengths_[j + 1] = length;  // shifted by one: what the next row looks up
        touched.push_back(j);
      }
    }
    for (const std::size_t j : touched) lengths_[j + 1] = 0;
    return stretched(best, w);
  }

  [[nodiscard]] Match stretched(Match m, const Window& w) const {
    while (m.a > w.a_from && m.b > w.b_from && a_[m.a - 1] == b_[m.b - 1])
      m = {m.a - 1, m.b - 1, m.length + 1};
    while (m.a + m.length < w.a_to && m.b + m.length < w.b_to && a_[m.a + m.length] == b_[m.b + m.length])
      ++m.length;
    return m;
  }

  View a_, b_;
  std::unordered_map<char32_t, std::vector<std::size_t>> places_;  // in b, ascending
  std::vector<std::size_t> lengths_;  // run length that ends at b[j - 1], in the row before
};

/// int(round(100 * ratio)) with fuzzywuzzy's special cases.
double fuzzy_ratio(View a, View b) {
  if (a == b) return 100;
  if (a.empty() || b.empty()) return 0;
  return std::nearbyint(100 * sequence_ratio(a, b));
}

std::string_view first_code_line(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t stop = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, stop - at);
    if (line.find_first_of("`#") == std::string_view::npos && line.find("//") == std::string_view::npos)
      return line;
    at = stop + 1;
  }
  return {};
}

}  // namespace

double sequence_ratio(View a, View b) {
  const double n_both = static_cast<double>(a.size() + b.size());
  return n_both > 0 ? 2.0 * static_cast<double>(SequenceMatcher(a, b).n_matching()) / n_both : 1.0;
}

double code_similarity(std::string_view prediction, std::string_view answer) {
  return fuzzy_ratio(decode_utf8(first_code_line(prediction)), decode_utf8(answer)) / 100;
}

}  // namespace kvevict::eval
