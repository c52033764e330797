#pragma once

#include <memory>
#include <string>

#include "cli/interrupt.h"

namespace kvevict::cli {

/// What a reader came upon.
enum class LineEnd {
  kLine,         ///< A line.
  kInterrupted,  ///< Ctrl-C: the line begun is dropped.
  kEndOfInput,
};

/// Lines from the user: with editing and history (libedit) on a terminal, plainly from a pipe.
class LineReader {
 public:
  /// `interrupt` must be of the kind that keeps on, and outlive the reader.
  explicit LineReader(InterruptGuard& interrupt);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// The next line into `line`, without its line feed, a carriage return before that, or a byte-order mark at
  /// the beginning of the input. A terminal shows `prompt` before it.
  [[nodiscard]] LineEnd read(const std::string& prompt, std::string& line);

  [[nodiscard]] bool is_terminal() const noexcept;

 private:
  [[nodiscard]] LineEnd read_raw(const std::string& prompt, std::string& line);

  struct Editor;
  std::unique_ptr<Editor> editor_;  // none for a pipe
  InterruptGuard& interrupt_;
  bool is_first_ = true;
};

}  // namespace kvevict::cli
