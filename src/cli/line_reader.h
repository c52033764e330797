#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/interrupt.h"

namespace kvevict::cli {

/// Lines from the user: with editing and history (libedit) on a terminal, plainly from a pipe.
class LineReader {
 public:
  /// `interrupt` must be of the kind that keeps on, and outlive the reader.
  LineReader(std::string prompt, InterruptGuard& interrupt);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// The next line without its line feed; nothing at the end of the input. Ctrl-C drops the line begun.
  [[nodiscard]] std::optional<std::string> read();

  [[nodiscard]] bool is_terminal() const noexcept;

 private:
  struct Editor;
  std::unique_ptr<Editor> editor_;  // none for a pipe
  InterruptGuard& interrupt_;
};

}  // namespace kvevict::cli
