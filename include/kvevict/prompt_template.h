#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kvevict/answer_format.h"
#include "kvevict/export.h"
#include "kvevict/model.h"

namespace KVEVICT_PUBLIC kvevict {

struct TemplateOptions {
  std::string source{};  ///< Jinja, or a name of `known_chat_templates`; empty: the model's own template.
  std::string
      values{};  ///< A JSON object of variables that the template reads, such as {"enable_thinking":false}.
};

/// The names of the templates that llama.cpp itself brings ("chatml", "llama3", …).
[[nodiscard]] std::vector<std::string> known_chat_templates();

/// Whether this build reads Jinja: it was built with that part of llama.cpp's common library beside
/// llama.cpp.
[[nodiscard]] bool reads_jinja() noexcept;

/// How a model wants a list of messages written: its own Jinja template, as its authors wrote it, if this
/// build reads Jinja; one of llama.cpp's known templates otherwise.
///
/// Owner: keeps a pointer to the model, which must outlive it. Thread safety: const after construction.
class PromptTemplate {
 public:
  /// Errors: kUnsupported for a model without a template if none is given, and for a template that is not
  /// known where this build reads no Jinja; kBadData for a source that is not Jinja.
  explicit PromptTemplate(const Model& model, TemplateOptions options = {});
  ~PromptTemplate();
  PromptTemplate(PromptTemplate&&) noexcept;
  PromptTemplate& operator=(PromptTemplate&&) noexcept;

  /// The messages as one prompt, up to where the answer begins if `begins_answer`. Errors: kUnsupported, with
  /// the template's own words, for messages that it refuses; kInvalidArgument for values that are no JSON
  /// object.
  [[nodiscard]] std::vector<TextPart> render(std::span<const ChatMessage> messages,
                                             bool begins_answer = true) const;

  /// How answers to `messages` are written if they may be more than text: thoughts, or calls of the functions
  /// that the messages bring. Null if they are text alone. Errors: kInvalidArgument (field "tools") for
  /// functions that cannot be read; kUnsupported (field "tools") if this build reads no calls.
  [[nodiscard]] std::shared_ptr<const AnswerFormat> answer_format(
      std::span<const ChatMessage> messages, const AnswerFormatOptions& options = {}) const;

  /// Tokens of parts that stand at the beginning of a text, or behind other ones.
  [[nodiscard]] std::vector<Token> tokens(std::span<const TextPart> parts, bool is_beginning = true) const;

  /// Whether Jinja renders it. Otherwise llama.cpp's own list of known templates is a guess at what the
  /// model's authors meant.
  [[nodiscard]] bool is_jinja() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The text of all parts.
[[nodiscard]] std::string text_of(std::span<const TextPart> parts);

}  // namespace kvevict
