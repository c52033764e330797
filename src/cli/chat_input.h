#pragma once

#include <optional>
#include <string>

#include "cli/line_reader.h"

namespace kvevict::cli {

/// What the user gave: a message, or a command such as "/save FILE".
struct ChatInput {
  std::string text;
  bool is_command = false;
};

/// Puts the user's lines together to messages and commands. A line is a message. A backslash at its end takes
/// in the next line; so do all lines from one that begins with three quotation marks to one that ends with
/// them, as they are. "//" begins a message with "/". Blank lines are nothing.
class ChatInputReader {
 public:
  /// `lines` must outlive the reader.
  explicit ChatInputReader(LineReader& lines) : lines_(lines) {}

  /// Nothing at the end of the input, which also ends a message. Ctrl-C drops the message begun.
  [[nodiscard]] std::optional<ChatInput> read();

 private:
  [[nodiscard]] LineEnd read_continued(std::string& message);
  [[nodiscard]] LineEnd read_block(std::string& message);

  LineReader& lines_;
};

}  // namespace kvevict::cli
