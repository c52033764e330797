#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kvevict/answer_format.h"

namespace kvevict {

/// Reads the text of an answer, also of one that is not yet whole. Thread safety: const.
class AnswerParser {
 public:
  AnswerParser() = default;
  AnswerParser(const AnswerParser&) = delete;
  AnswerParser& operator=(const AnswerParser&) = delete;
  virtual ~AnswerParser() = default;

  /// Errors: any exception for text that has not the form.
  [[nodiscard]] virtual ChatMessage parse(const std::string& text, bool is_whole) const = 0;
};

struct AnswerFormat::Impl {
  std::string grammar{};
  GrammarStart start{};
  std::vector<std::string> stops{};
  std::vector<Token> shown_tokens{};
  std::shared_ptr<const AnswerParser> parser{};
};

}  // namespace kvevict
