#include "results/token_f1.h"

#include <map>
#include <string>
#include <vector>

#include "text/unicode_text.h"

namespace kvevict::eval {
namespace {

using Words = std::vector<std::u32string>;

/// F1 of two multisets of words.
double f1_of_words(const Words& prediction, const Words& answer) {
  std::map<std::u32string, std::int64_t> left;
  for (const std::u32string& word : answer) ++left[word];
  std::int64_t n_same = 0;
  for (const std::u32string& word : prediction) {
    const auto found = left.find(word);
    if (found == left.end() || found->second == 0) continue;
    --found->second;
    ++n_same;
  }
  if (n_same == 0) return 0.0;
  const double precision = static_cast<double>(n_same) / static_cast<double>(prediction.size());
  const double recall = static_cast<double>(n_same) / static_cast<double>(answer.size());
  return 2 * precision * recall / (precision + recall);
}

/// re.sub(r"\b(a|an|the)\b", " ", text): articles between word boundaries, wherever they stand.
std::u32string without_articles(std::u32string_view text) {
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_python_word(text[at])) {
      result.push_back(text[at++]);
      continue;
    }
    std::size_t to = at;
    while (to < text.size() && is_python_word(text[to])) ++to;
    const std::u32string_view run = text.substr(at, to - at);
    const bool is_article = run == U"a" || run == U"an" || run == U"the";
    result += is_article ? U" " : run;
    at = to;
  }
  return result;
}

Words english_words(std::string_view text) {
  std::u32string kept;
  for (const char32_t c : python_lower(decode_utf8(text))) {
    if (!is_ascii_punctuation(c)) kept.push_back(c);
  }
  return split_at_spaces(without_articles(kept));
}

/// The Chinese punctuation that LongBench deletes; U+300A is not in its list, U+300B is.
bool is_listed_chinese_punctuation(char32_t c) {
  struct Span {
    char32_t first, last;
  };
  static constexpr Span kListed[] = {{0xFF01, 0xFF01}, {0xFF1F, 0xFF1F}, {0xFF61, 0xFF61}, {0x3002, 0x3002},
                                     {0xFF02, 0xFF0D}, {0xFF0F, 0xFF0F}, {0xFF1A, 0xFF1E}, {0xFF20, 0xFF20},
                                     {0xFF3B, 0xFF40}, {0xFF5B, 0xFF60}, {0xFF62, 0xFF64}, {0x3001, 0x3001},
                                     {0x3003, 0x3003}, {0x300B, 0x3011}, {0x3014, 0x301F}, {0x3030, 0x3030},
                                     {0x303E, 0x303F}, {0x2013, 0x2014}, {0x2018, 0x2019}, {0x201B, 0x201F},
                                     {0x2026, 0x2027}, {0xFE4F, 0xFE4F}, {0x002E, 0x002E}};
  for (const Span& span : kListed) {
    if (c >= span.first && c <= span.last) return true;
  }
  return false;
}

Words chinese_words(const WordSegmenter& segmenter, std::string_view text) {
  Words words;
  for (const std::string& token : segmenter.cut(text)) {
    std::u32string word;
    for (const char32_t c : python_lower(decode_utf8(token))) {
      if (!is_ascii_punctuation(c) && !is_listed_chinese_punctuation(c) && !is_python_space(c))
        word.push_back(c);
    }
    if (!word.empty()) words.push_back(std::move(word));
  }
  return words;
}

}  // namespace

double english_token_f1(std::string_view prediction, std::string_view answer) {
  return f1_of_words(english_words(prediction), english_words(answer));
}

double chinese_token_f1(const WordSegmenter& segmenter, std::string_view prediction,
                        std::string_view answer) {
  return f1_of_words(chinese_words(segmenter, prediction), chinese_words(segmenter, answer));
}

}  // namespace kvevict::eval
