#include "engine/llama_log.h"

#include <ggml-backend.h>
#include <llama.h>

#include <algorithm>
#include <mutex>

namespace kvevict {
namespace {

thread_local LlamaLogCapture* innermost_capture = nullptr;

void forward_to_capture(ggml_log_level level, const char* text, void* /*user_data*/) {
  if (innermost_capture == nullptr) return;
  innermost_capture->add(level == GGML_LOG_LEVEL_ERROR, text);
}

}  // namespace

void start_llama() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set(forward_to_capture, nullptr);
    ggml_backend_load_all();
    llama_backend_init();
  });
}

LlamaLogCapture::LlamaLogCapture() : outer_(innermost_capture) {
  start_llama();
  innermost_capture = this;
}

LlamaLogCapture::~LlamaLogCapture() {
  innermost_capture = outer_;
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
