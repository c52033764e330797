// What the parts of llama.cpp's common library that set-up builds need of common.cpp and log.cpp, which need all
// the rest. Weak, so that a program may link the whole common library as well.
#include "common.h"
#include "log.h"

[[gnu::weak]] std::string string_join(const std::vector<std::string>& values, const std::string& separator);
[[gnu::weak]] std::vector<std::string> string_split(const std::string& text, const std::string& delimiter);
[[gnu::weak]] std::string string_repeat(const std::string& text, size_t n);
[[gnu::weak]] void string_replace_all(std::string& text, const std::string& search, const std::string& replace);
[[gnu::weak]] std::string common_token_to_piece(const llama_vocab* vocab, llama_token token, bool special);
[[gnu::weak]] std::vector<llama_token> common_tokenize(const llama_vocab* vocab, const std::string& text,
                                                       bool add_special, bool parse_special);
[[gnu::weak]] int common_log_get_verbosity_thold();
[[gnu::weak]] common_log* common_log_main();
[[gnu::weak]] void common_log_add(common_log* log, ggml_log_level level, const char* format, ...);

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

void string_replace_all(std::string& text, const std::string& search, const std::string& replace) {
  if (search.empty()) return;
  for (size_t at = text.find(search); at != std::string::npos; at = text.find(search, at + replace.size()))
    text.replace(at, search.size(), replace);
}

std::string common_token_to_piece(const llama_vocab* vocab, llama_token token, bool special) {
  std::string piece(64, '\0');
  int32_t n = llama_token_to_piece(vocab, token, piece.data(), static_cast<int32_t>(piece.size()), 0, special);
  if (n < 0) {
    piece.resize(static_cast<size_t>(-n));
    n = llama_token_to_piece(vocab, token, piece.data(), static_cast<int32_t>(piece.size()), 0, special);
  }
  piece.resize(static_cast<size_t>(n));
  return piece;
}

std::vector<llama_token> common_tokenize(const llama_vocab* vocab, const std::string& text, bool add_special,
                                         bool parse_special) {
  const auto size = static_cast<int32_t>(text.size());
  std::vector<llama_token> tokens(text.size() + 2);
  const int32_t n = llama_tokenize(vocab, text.data(), size, tokens.data(), static_cast<int32_t>(tokens.size()),
                                   add_special, parse_special);
  tokens.resize(static_cast<size_t>(n < 0 ? 0 : n));
  return tokens;
}

// Below every level: nothing is logged. Standard error belongs to the program.
int common_log_get_verbosity_thold() { return -1; }
common_log* common_log_main() { return nullptr; }
void common_log_add(common_log*, ggml_log_level, const char*, ...) {}
