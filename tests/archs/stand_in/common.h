#pragma once

#include <cstdlib>

#include "llama.h"

// In place of llama.cpp's own common.h, whose library takes minutes to build. The program is only asked to
// write models, and computes nothing: a batch need not work, only compile.
inline void common_init() {}

class common_batch {
 public:
  explicit common_batch(llama_context* /*context*/) {}
  void clear() {}
  void add(llama_token /*id*/, llama_pos /*position*/, llama_seq_id /*sequence*/, bool /*output*/) {}
  [[nodiscard]] llama_batch_ext* get() { std::abort(); }
};
