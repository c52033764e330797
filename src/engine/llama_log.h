#pragma once

#include <string>

namespace kvevict {

/// Starts llama.cpp once per process and takes over its logger, which is one for the process:
/// without a capture on the calling thread, nothing is printed. For programs that leave llama.cpp to us.
void start_llama();

/// Collects what llama.cpp logs on this thread while the object lives. Captures nest: the outer one
/// hears what the inner one hears. Where the logger is the program's own, it is lent for as long as there is
/// a capture, hears what other threads log meanwhile, and is given back (ggml's in the place of llama.cpp's
/// too, where they differed: llama.cpp tells no other). Thread safety: any.
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
