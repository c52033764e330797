#include "cli/paragraph.h"

#include <algorithm>

#include "text/unicode_text.h"

namespace kvevict::cli {

std::size_t count_characters(std::string_view text) {
  return decode_utf8(text).size();
}

std::string one_line(std::string text) {
  for (char& c : text) c = c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
  return text;
}

std::string paragraph(std::string_view text, std::size_t indent, bool hangs, std::size_t width) {
  const std::string blanks(indent, ' ');
  std::string lines = hangs ? "" : blanks;
  std::size_t column = indent;
  bool is_first = true;
  while (!text.empty()) {
    const std::size_t begin = std::min(text.find_first_not_of(" \n"), text.size());
    const std::size_t end = std::min(text.find_first_of(" \n", begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    text.remove_prefix(end);
    if (word.empty()) break;
    const std::size_t n = count_characters(word);
    if (!is_first && column + 1 + n > width) {
      lines += "\n" + blanks;
      column = indent;
    } else if (!is_first) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += n;
    is_first = false;
  }
  return lines + "\n";
}

}  // namespace kvevict::cli
