// Read before llama.cpp's common/json-schema-to-grammar.cpp. That warns on standard error if it had to leave
// a part of a schema out, and goes on: here such a schema is refused, since answers would not have its form.
#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>

[[noreturn]] inline void kvevict_refuse(const char* what) {
  throw std::invalid_argument(std::string("JSON schema conversion failed:\n") + what);
}

#define fprintf(stream, format, what) kvevict_refuse(what)
