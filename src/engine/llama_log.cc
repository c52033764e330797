#include "engine/llama_log.h"

#include <ggml-backend.h>
#include <llama.h>

#include <algorithm>
#include <mutex>
#include <optional>

namespace kvevict {
namespace {

thread_local LlamaLogCapture* innermost_capture = nullptr;

struct Logger {
  ggml_log_callback callback = nullptr;
  void* user_data = nullptr;
};

/// llama.cpp's logger, which is one for the process, and ggml's.
struct Loggers {
  Logger llama, ggml;
};

Loggers loggers_in_use() {
  Loggers loggers;
  llama_log_get(&loggers.llama.callback, &loggers.llama.user_data);
  ggml_log_get(&loggers.ggml.callback, &loggers.ggml.user_data);
  return loggers;
}

void forward_to_capture(ggml_log_level level, const char* text, void* user_data);

/// The program's loggers while ours stand in their place.
class LentLoggers {
 public:
  void lend() {
    const std::lock_guard lock(mutex_);
    if (n_captures_++ > 0) return;
    const Loggers in_use = loggers_in_use();
    if (in_use.llama.callback == forward_to_capture) return;  // since start_llama
    own_ = in_use;
    // ggml's too. The user's data stay, so that a thread that logs right now never meets ours with its
    // callback.
    llama_log_set(forward_to_capture, in_use.llama.user_data);
  }

  void keep() {
    const std::lock_guard lock(mutex_);
    own_.reset();
    llama_log_set(forward_to_capture, nullptr);
  }

  void give_back() {
    const std::lock_guard lock(mutex_);
    if (--n_captures_ > 0 || !own_) return;
    llama_log_set(own_->llama.callback, own_->llama.user_data);
    ggml_log_set(own_->ggml.callback, own_->ggml.user_data);
    own_.reset();
  }

  /// To the program's own logger, from a thread without a capture.
  void pass_on(ggml_log_level level, const char* text) {
    Logger own;
    {
      const std::lock_guard lock(mutex_);
      if (own_) own = own_->llama;
    }
    if (own.callback != nullptr) own.callback(level, text, own.user_data);
  }

 private:
  std::mutex mutex_;
  int n_captures_ = 0;
  std::optional<Loggers> own_;  // empty if the program has none: ours stay
};

LentLoggers& lent_loggers() {
  static LentLoggers loggers;
  return loggers;
}

void forward_to_capture(ggml_log_level level, const char* text, void* /*user_data*/) {
  if (innermost_capture == nullptr) {
    lent_loggers().pass_on(level, text);
  } else {
    innermost_capture->add(level == GGML_LOG_LEVEL_ERROR, text);
  }
}

}  // namespace

void start_llama() {
  static std::once_flag once;
  std::call_once(once, [] {
    lent_loggers().keep();
    ggml_backend_load_all();
    llama_backend_init();
  });
}

LlamaLogCapture::LlamaLogCapture() : outer_(innermost_capture) {
  lent_loggers().lend();
  innermost_capture = this;
}

LlamaLogCapture::~LlamaLogCapture() {
  innermost_capture = outer_;
  lent_loggers().give_back();
}

void LlamaLogCapture::add(bool is_error, const char* text) {
  text_ += text;
  if (is_error) errors_ += text;
  if (outer_ != nullptr) outer_->add(is_error, text);
}

std::string LlamaLogCapture::reason() const {
  std::string line = errors_;
  std::replace(line.begin(), line.end(), '\n', ' ');
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line.empty() ? "it gave no reason" : line;
}

}  // namespace kvevict
