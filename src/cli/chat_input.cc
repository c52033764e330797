#include "cli/chat_input.h"

#include <string_view>

namespace kvevict::cli {
namespace {

constexpr std::string_view kBlockMark = "\"\"\"";
constexpr const char* kPrompt = "> ";
constexpr const char* kPromptWithin = ". ";
constexpr std::string_view kWhite = " \t\r\n\v\f";

bool is_blank(const std::string& text) {
  return text.find_first_not_of(kWhite) == std::string::npos;
}

}  // namespace

std::optional<ChatInput> ChatInputReader::read() {
  std::string line;
  for (LineEnd end = lines_.read(kPrompt, line); end != LineEnd::kEndOfInput;
       end = lines_.read(kPrompt, line)) {
    if (end == LineEnd::kInterrupted) continue;
    if (line.starts_with('/') && !line.starts_with("//")) {
      return ChatInput{line.substr(0, line.find_last_not_of(kWhite) + 1), true};
    }
    const bool is_block = line.starts_with(kBlockMark);
    if ((is_block ? read_block(line) : read_continued(line)) == LineEnd::kInterrupted) continue;
    if (!is_blank(line)) return ChatInput{std::move(line)};
  }
  return std::nullopt;
}

/// Adds the lines that `message`, a first line, goes on in.
LineEnd ChatInputReader::read_continued(std::string& message) {
  if (message.starts_with("//")) message.erase(0, 1);
  LineEnd end = LineEnd::kLine;
  while (end == LineEnd::kLine && message.ends_with('\\')) {
    message.pop_back();
    std::string line;
    end = lines_.read(kPromptWithin, line);
    if (end == LineEnd::kLine) message += "\n" + line;
  }
  return end;
}

/// Makes `message`, a line that opens a block, the text of the block.
LineEnd ChatInputReader::read_block(std::string& message) {
  message.erase(0, kBlockMark.size());
  bool is_first = message.empty();  // no line feed comes before the first line
  while (!message.ends_with(kBlockMark)) {
    std::string line;
    const LineEnd end = lines_.read(kPromptWithin, line);
    if (end != LineEnd::kLine) return end;
    message += (is_first ? "" : "\n") + line;
    is_first = false;
  }
  message.erase(message.size() - kBlockMark.size());
  if (message.ends_with('\n')) message.pop_back();
  return LineEnd::kLine;
}

}  // namespace kvevict::cli
