// Read before llama.cpp's src/llama-grammar.cpp. That says what is wrong with a grammar on standard error,
// which belongs to the program, and not to a library: here it goes where llama.cpp's other sentences go.
#pragma once

#include <cstdio>

#include "llama-impl.h"

template <typename... Parts>
int kvevict_print(std::FILE* stream, const char* format, Parts... parts) {
  if (stream != stderr) return std::fprintf(stream, format, parts...);
  llama_log_internal(GGML_LOG_LEVEL_ERROR, format, parts...);
  return 0;
}

#define fprintf(stream, ...) kvevict_print((stream), __VA_ARGS__)
