#pragma once

#include <cstdio>

#include "ggml.h"

// In place of llama.cpp's own log.h, for writing models alone: what is an error goes to stderr, nothing else
// anywhere.
enum { LOG_LEVEL_OUTPUT, LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_TRACE, LOG_LEVEL_DEBUG };

#define LOG(...) std::fprintf(stderr, __VA_ARGS__)
#define LOG_ERR(...) std::fprintf(stderr, __VA_ARGS__)
#define LOG_INF(...) static_cast<void>(sizeof(std::fprintf(stderr, __VA_ARGS__)))

inline void common_log_set_verbosity_thold(int /*level*/) {}
inline void* common_log_main() {
  return nullptr;
}
inline void common_log_flush(void* /*log*/) {}

inline int common_log_get_verbosity(ggml_log_level level) {
  return level == GGML_LOG_LEVEL_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG;
}
