#include "cli/line_reader.h"

#include <histedit.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <iostream>

namespace kvevict::cli {

struct LineReader::Editor {
  Editor() : history(history_init(), history_end), line(el_init("kvevict", stdin, stdout, stderr), el_end) {
    if (!line || !history) return;
    HistEvent event;
    ::history(history.get(), &event, H_SETSIZE, 1000);
    ::history(history.get(), &event, H_SETUNIQUE, 1);
    el_set(line.get(), EL_CLIENTDATA, this);
    el_set(
        line.get(), EL_PROMPT, +[](EditLine* owner) -> char* {
          void* data = nullptr;
          el_get(owner, EL_CLIENTDATA, &data);
          return static_cast<Editor*>(data)->prompt.data();
        });
    el_set(line.get(), EL_EDITOR, "emacs");
    el_set(line.get(), EL_HIST, ::history, history.get());
    el_source(line.get(), nullptr);  // the user's ~/.editrc
  }

  std::string prompt;
  std::unique_ptr<History, void (*)(History*)> history;
  std::unique_ptr<EditLine, void (*)(EditLine*)> line;
};

LineReader::LineReader(InterruptGuard& interrupt) : interrupt_(interrupt) {
  if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1) return;
  std::setlocale(LC_CTYPE, "");  // libedit counts columns by the locale's characters
  editor_ = std::make_unique<Editor>();
  if (!editor_->line || !editor_->history) editor_.reset();
}

LineReader::~LineReader() = default;

bool LineReader::is_terminal() const noexcept {
  return editor_ != nullptr;
}

LineEnd LineReader::read(const std::string& prompt, std::string& line) {
  const LineEnd end = read_raw(prompt, line);
  if (end != LineEnd::kLine) return end;
  if (is_first_ && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
  is_first_ = false;
  if (line.ends_with('\r')) line.pop_back();  // of a script or a file from Windows
  return end;
}

LineEnd LineReader::read_raw(const std::string& prompt, std::string& line) {
  if (!editor_) {
    if (std::getline(std::cin, line)) return LineEnd::kLine;
    if (!interrupt_.clear()) return LineEnd::kEndOfInput;
    std::cin.clear();
    std::clearerr(stdin);
    return LineEnd::kInterrupted;
  }
  editor_->prompt = prompt;
  int n = 0;
  const char* const text = el_gets(editor_->line.get(), &n);
  if (text != nullptr && n > 0) {
    HistEvent event;
    if (text[0] != '\n') history(editor_->history.get(), &event, H_ENTER, text);
    line.assign(text, static_cast<std::size_t>(text[n - 1] == '\n' ? n - 1 : n));
    return LineEnd::kLine;
  }
  if (!interrupt_.clear()) return LineEnd::kEndOfInput;
  std::fputs("^C (leave with /quit or Ctrl-D)\n", stdout);
  el_reset(editor_->line.get());
  return LineEnd::kInterrupted;
}

}  // namespace kvevict::cli
