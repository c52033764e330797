#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/chat_message.h"
#include "kvevict/export.h"
#include "kvevict/grammar.h"
#include "kvevict/model.h"

namespace KVEVICT_PUBLIC kvevict {

enum class ToolChoice {
  kNone,      ///< The answer is a text, whatever functions there are.
  kAuto,      ///< The model decides.
  kRequired,  ///< The answer is a call.
};

struct AnswerFormatOptions {
  ToolChoice tool_choice = ToolChoice::kAuto;
  std::string function{};  ///< The one that may be called; empty: any.
  /// Whether an answer may call several times; nothing: if the template writes such answers.
  std::optional<bool> parallel_calls{};
  bool separates_reasoning = true;  ///< Thoughts are read apart from the content.
};

/// How a model writes thoughts and calls of functions, by its own chat template; a template that has no
/// place for functions has them as JSON between <tool_call> and </tool_call>. llama.cpp's common library
/// finds it out, and makes the grammar and the reader of it.
///
/// Thread safety: const.
class AnswerFormat {
 public:
  struct Impl;
  explicit AnswerFormat(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  /// What keeps calls in their form; empty if an answer needs none.
  [[nodiscard]] const std::string& grammar() const noexcept;
  [[nodiscard]] const GrammarStart& grammar_start() const noexcept;

  /// Texts that end an answer, beside the model's own end.
  [[nodiscard]] const std::vector<std::string>& stops() const noexcept;

  /// Control tokens that the reader must see: they belong to the text of an answer.
  [[nodiscard]] const std::vector<Token>& shown_tokens() const noexcept;

  /// An answer's text as a message: its content, thoughts and calls. Text that has not the form is content.
  [[nodiscard]] ChatMessage read(const std::string& text) const;

 private:
  friend class AnswerReader;
  std::shared_ptr<const Impl> impl_;
};

/// What a piece of text adds to an answer.
struct AnswerDelta {
  std::string content{};
  std::string reasoning{};
  std::optional<std::size_t> call{};  ///< The call that `part` belongs to; its id and name come once.
  ToolCall part{};
};

/// Reads an answer while it is made. Thread safety: one thread at a time.
class AnswerReader {
 public:
  /// `format`: null for answers that are content alone.
  explicit AnswerReader(std::shared_ptr<const AnswerFormat> format);
  ~AnswerReader();
  AnswerReader(AnswerReader&&) noexcept;
  AnswerReader& operator=(AnswerReader&&) noexcept;

  /// What `text`, the next piece, adds. Text that might become a marker waits for the next one. O(text so
  /// far).
  [[nodiscard]] std::vector<AnswerDelta> add(std::string_view text);

  /// What waited, at the end of the answer.
  [[nodiscard]] std::vector<AnswerDelta> finish();

  /// All so far; each call has an id, of the model's own or a random one.
  [[nodiscard]] const ChatMessage& message() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict
