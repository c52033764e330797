#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/control_token.h"
#include "engine/marked_text.h"
#include "kvevict/model.h"

namespace kvevict {

/// Tokens of texts of which each mostly begins as the one before did, such as the histories that a client
/// sends with every turn. What is the same up to a control token is not tokenized again.
///
/// Holds the last text and its tokens. Thread safety: one thread at a time.
class GrowingText {
 public:
  /// The same as `model.tokenize(parts, true)`. REQUIRES: the model is the same each time. Errors: its.
  [[nodiscard]] std::vector<Token> tokens(const Model& model, std::span<const TextPart> parts);

  /// Those of the first `n_same` bytes of the last text with `end` behind them. REQUIRES: as above.
  [[nodiscard]] std::vector<Token> tokens_with_end(const Model& model, std::size_t n_same,
                                                   std::span<const TextPart> end);

  [[nodiscard]] const MarkedText& text() const noexcept { return text_; }

  /// Bytes of all texts that were tokenized.
  [[nodiscard]] std::int64_t n_bytes_read() const noexcept { return n_bytes_read_; }

 private:
  /// A control token, behind which a text can be gone on with.
  struct Border {
    Token token;
    std::size_t n_bytes;   // of the text up to its end
    std::size_t n_tokens;  // likewise
  };

  void go_back(std::size_t n_same);

  std::vector<ControlToken> controls_{};  // of the model
  MarkedText text_{};
  std::vector<Border> borders_{};
  std::vector<Token> tokens_{};  // of the text alone
  std::int64_t n_bytes_read_ = 0;
};

}  // namespace kvevict
