#pragma once

#include <span>
#include <string>

#include "kvevict/model.h"

namespace kvevict {

/// Turns tokens into text as they come: a character that several tokens make up is held back until
/// it is whole, so that what is given out is valid UTF-8 wherever the tokens' bytes are.
class TextStream {
 public:
  /// `shown`: control tokens whose names are text. Both must outlive the stream.
  explicit TextStream(const Model& model, std::span<const Token> shown = {})
      : model_(&model), shown_(shown) {}

  /// The text that `token` completes; empty if a character is unfinished.
  [[nodiscard]] std::string add(Token token);

 private:
  const Model* model_;
  std::span<const Token> shown_;
  std::string pending_;
};

}  // namespace kvevict
