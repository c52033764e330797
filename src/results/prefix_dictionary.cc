#include "results/prefix_dictionary.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>

#include "kvevict/error.h"
#include "text/unicode_text.h"

namespace kvevict::eval {
namespace {

/// "word frequency …" -> both; false for another form.
bool read_line(const std::string& line, std::u32string& word, std::int64_t& frequency) {
  const std::size_t space = line.find(' ');
  if (space == std::string::npos || space == 0) return false;
  const char* const from = line.data() + space + 1;
  const auto [stop, error] = std::from_chars(from, line.data() + line.size(), frequency);
  if (error != std::errc() || stop == from) return false;
  word = decode_utf8(std::string_view(line).substr(0, space));
  return true;
}

}  // namespace

PrefixDictionary::PrefixDictionary(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::kNotFound, "there is no word list " + path.string());
  std::int64_t total = 0;
  std::u32string word;
  std::int64_t frequency = 0;
  std::int64_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (!read_line(line, word, frequency)) {
      throw Error(ErrorCode::kBadData,
                  path.string() + ", line " + std::to_string(number) + ": \"word frequency tag\" is needed");
    }
    entries_.push_back(
        {static_cast<std::uint32_t>(characters_.size()), static_cast<std::uint32_t>(word.size()), frequency});
    characters_ += word;
    total += frequency;
  }
  sort_and_drop_repeats();
  log_total_ = std::log(static_cast<double>(total));
}

void PrefixDictionary::sort_and_drop_repeats() {
  std::stable_sort(entries_.begin(), entries_.end(),
                   [this](const Entry& a, const Entry& b) { return word(a) < word(b); });
  // Of equal words the last one counts: unique keeps the first of a run, so go backwards.
  std::reverse(entries_.begin(), entries_.end());
  const auto end = std::unique(entries_.begin(), entries_.end(),
                               [this](const Entry& a, const Entry& b) { return word(a) == word(b); });
  entries_.erase(end, entries_.end());
  std::reverse(entries_.begin(), entries_.end());
}

std::vector<std::size_t> PrefixDictionary::words_at_start(std::u32string_view text) const {
  std::vector<std::size_t> lengths;
  auto first = entries_.begin();
  auto last = entries_.end();
  for (std::size_t depth = 0; depth < text.size(); ++depth) {
    const char32_t c = text[depth];
    // All of [first, last) begin with text[0, depth); the one that ends there, if any, sorts first.
    first = std::partition_point(
        first, last, [&](const Entry& e) { return e.length == depth || characters_[e.offset + depth] < c; });
    last =
        std::partition_point(first, last, [&](const Entry& e) { return characters_[e.offset + depth] == c; });
    if (first == last) break;
    if (first->length == depth + 1 && first->frequency > 0) lengths.push_back(depth + 1);
  }
  return lengths;
}

std::int64_t PrefixDictionary::frequency(std::u32string_view text) const {
  const auto found = std::lower_bound(entries_.begin(), entries_.end(), text,
                                      [this](const Entry& e, std::u32string_view w) { return word(e) < w; });
  return found != entries_.end() && word(*found) == text ? found->frequency : 0;
}

double PrefixDictionary::log_frequency(std::u32string_view text) const {
  const std::int64_t n = frequency(text);
  return std::log(static_cast<double>(n == 0 ? 1 : n));
}

}  // namespace kvevict::eval
