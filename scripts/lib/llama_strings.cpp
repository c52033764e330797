// What json-schema-to-grammar.cpp of llama.cpp's common library needs of common.cpp, which needs all the
// rest. Weak, so that a program may link the whole common library as well.
#include "common.h"

[[gnu::weak]] std::string string_join(const std::vector<std::string>& values, const std::string& separator);
[[gnu::weak]] std::vector<std::string> string_split(const std::string& text, const std::string& delimiter);
[[gnu::weak]] std::string string_repeat(const std::string& text, size_t n);

std::string string_join(const std::vector<std::string>& values, const std::string& separator) {
  std::string joined;
  for (size_t i = 0; i < values.size(); ++i) joined += (i == 0 ? "" : separator) + values[i];
  return joined;
}

std::vector<std::string> string_split(const std::string& text, const std::string& delimiter) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end = text.find(delimiter); end != std::string::npos; end = text.find(delimiter, begin)) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + delimiter.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::string string_repeat(const std::string& text, size_t n) {
  std::string repeated;
  for (size_t i = 0; i < n; ++i) repeated += text;
  return repeated;
}
