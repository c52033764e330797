#pragma once

#include <string>

namespace kvevict {

/// Starts llama.cpp once per process and takes over its logger, of which a process has one. Lines that no
/// capture collects are then dropped. For programs that leave llama.cpp to this library.
void start_llama();

/// Collects what llama.cpp logs on this thread while the object lives. Captures nest: the outer one collects
/// what the inner one collects. Thread safety: any.
///
/// If the program has a logger of its own, ours takes its place while any capture lives. Lines from threads
/// without a capture still reach the program's logger, and it is put back at the end. So is ggml's, which may
/// be another one: llama.cpp sets both at once.
class LlamaLogCapture {
 public:
  LlamaLogCapture();
  ~LlamaLogCapture();
  LlamaLogCapture(const LlamaLogCapture&) = delete;
  LlamaLogCapture& operator=(const LlamaLogCapture&) = delete;

  /// Everything, all levels.
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

  /// What llama.cpp called an error, on one line; or "it gave no reason".
  [[nodiscard]] std::string reason() const;

  void add(bool is_error, const char* text);

 private:
  LlamaLogCapture* outer_;
  std::string text_;
  std::string errors_;
};

}  // namespace kvevict
