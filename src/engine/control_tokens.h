#pragma once

#include <llama.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/control_token.h"
#include "kvevict/model.h"

namespace kvevict {

/// All that llama.cpp reads with `parse_special`, the longest first, as it looks for them. O(vocabulary).
[[nodiscard]] std::vector<ControlToken> all_control_tokens(const llama_vocab* vocab);

/// Those of `tokens` that stand in `text`, in the same order.
[[nodiscard]] std::vector<ControlToken> control_tokens_in(std::span<const ControlToken> tokens,
                                                          std::string_view text);

/// A stretch of a text: raw text without control tokens to be read, or one control token.
struct TextStretch {
  std::string text;
  Token token = LLAMA_TOKEN_NULL;
  std::size_t n_bytes = 0;  ///< Of a control token: bytes of all parts up to its end.
  [[nodiscard]] bool is_token() const { return token != LLAMA_TOKEN_NULL; }
};

/// The text of `parts` with the control tokens read that llama.cpp reads with `parse_special`, in the parts
/// that say so. Text that only the seam of two parts of one kind divides is one text. `all`: those of the
/// vocabulary; `before`: the control token that stands in front of the parts, if one does.
[[nodiscard]] std::vector<TextStretch> read_control_tokens(const llama_vocab* vocab,
                                                           std::span<const ControlToken> all,
                                                           std::span<const TextPart> parts,
                                                           Token before = LLAMA_TOKEN_NULL);

}  // namespace kvevict
