#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/answer_format_impl.h"

namespace kvevict {

/// What llama.cpp's common library finds out about the answers of a chat template. Thread safety: const.
class TemplateFormats {
 public:
  /// `source`: Jinja; `values`: a JSON object of what the template reads, or empty. A template that the
  /// library makes nothing of has neither calls nor thoughts.
  TemplateFormats(const std::string& source, const std::string& bos, const std::string& eos,
                  const std::string& values);
  ~TemplateFormats();
  TemplateFormats(const TemplateFormats&) = delete;
  TemplateFormats& operator=(const TemplateFormats&) = delete;

  /// Whether the template has a place for functions and calls, and their form is known.
  [[nodiscard]] bool has_calls() const noexcept;

  /// Whether its model thinks before it answers, and where is known.
  [[nodiscard]] bool has_thoughts() const noexcept;

  /// The format of answers to `messages`; `shown`: gets the texts of control tokens that its reader must see.
  /// Calls are those of `plain_calls.h` unless `has_calls`. Errors: kInvalidArgument (field "tools") for
  /// functions that cannot be read; kUnsupported without `reads_tool_calls`.
  [[nodiscard]] AnswerFormat::Impl format(std::span<const ChatMessage> messages,
                                          const AnswerFormatOptions& options,
                                          std::vector<std::string>& shown) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The format of calls as in `plain_calls.h`, of a model that does not think. Errors: as `format`.
[[nodiscard]] AnswerFormat::Impl plain_call_format(const std::string& tools,
                                                   const AnswerFormatOptions& options);

/// Whether this build reads calls and thoughts: it was built with that part of llama.cpp's common library.
[[nodiscard]] bool reads_tool_calls() noexcept;

}  // namespace kvevict
