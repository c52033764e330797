#pragma once

#include <llama.h>

#include <span>
#include <string>
#include <vector>

#include "kvevict/model.h"

namespace kvevict {

/// A stretch of a text: raw text without control tokens to be read, or one control token.
struct TextStretch {
  std::string text;
  Token token = LLAMA_TOKEN_NULL;
  [[nodiscard]] bool is_token() const { return token != LLAMA_TOKEN_NULL; }
};

/// The text of `parts` with the control tokens read that llama.cpp reads with `parse_special`, in the parts
/// that say so. Raw text that only the seam of two parts divides is one stretch.
[[nodiscard]] std::vector<TextStretch> read_control_tokens(const llama_vocab* vocab,
                                                           std::span<const TextPart> parts);

}  // namespace kvevict
