#pragma once

#include <llama.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/model.h"

namespace kvevict {

/// A control token and how it is written.
struct ControlToken {
  std::string_view text;  ///< The vocabulary's.
  Token token;
};

/// All that llama.cpp reads with `parse_special`, the longest first, as it looks for them. O(vocabulary).
[[nodiscard]] std::vector<ControlToken> all_control_tokens(const llama_vocab* vocab);

/// Those of `tokens` that stand in `text`, in the same order.
[[nodiscard]] std::vector<ControlToken> control_tokens_in(std::span<const ControlToken> tokens,
                                                          std::string_view text);

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
