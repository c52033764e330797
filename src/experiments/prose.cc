#include "experiments/prose.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

bool ends_sentence(char c) {
  return c == '.' || c == '!' || c == '?';
}

/// With single spaces for all white space, and none at the ends.
std::string on_one_line(std::string_view paragraph) {
  std::string line;
  for (const char c : paragraph) {
    const bool is_space = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!is_space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

/// Long enough, ended like a sentence, and of words: tables and code have more signs than prose has.
bool is_prose(const std::string& paragraph) {
  constexpr std::size_t kFewestBytes = 120;
  constexpr double kMostSigns = 0.06;
  if (paragraph.size() < kFewestBytes || !ends_sentence(paragraph.back())) return false;
  const auto n_signs = std::ranges::count_if(paragraph, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x80 && std::isalpha(byte) == 0 && c != ' ' && c != ',' && c != '.';
  });
  return static_cast<double>(n_signs) < kMostSigns * static_cast<double>(paragraph.size());
}

void add_sentences(const std::string& paragraph, std::vector<std::string>& sentences) {
  std::size_t from = 0;
  for (std::size_t at = 0; at + 1 < paragraph.size(); ++at) {
    if (!ends_sentence(paragraph[at]) || paragraph[at + 1] != ' ') continue;
    sentences.push_back(paragraph.substr(from, at + 2 - from));
    from = at + 2;
  }
  sentences.push_back(paragraph.substr(from) + " ");
}

}  // namespace

std::vector<std::string> prose_sentences(std::string_view text) {
  std::vector<std::string> sentences;
  std::string paragraph;
  const auto close = [&] {
    const std::string line = on_one_line(paragraph);
    if (is_prose(line)) add_sentences(line, sentences);
    paragraph.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) close();
    paragraph += std::string(line) + "\n";
    at = end + 1;
  }
  close();
  return sentences;
}

std::vector<std::string> read_prose(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Error(ErrorCode::kNotFound, "there is no text file " + file.string());
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream || std::filesystem::is_directory(file))
    throw Error(ErrorCode::kIo, "the text file " + file.string() + " could not be read");
  std::vector<std::string> sentences = prose_sentences(text.str());
  if (sentences.empty()) {
    throw Error(ErrorCode::kBadData, file.string() +
                                         " holds no prose: a paragraph of sentences is needed, with an empty "
                                         "line before and behind it");
  }
  return sentences;
}

}  // namespace kvevict::eval
