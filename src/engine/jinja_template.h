#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kvevict/prompt_template.h"

namespace kvevict {

/// A chat template in Jinja, as the authors of models write them, rendered as the transformers library does.
/// Thread safety: const after construction.
class JinjaTemplate {
 public:
  /// `bos` and `eos`: what the template may print for the model's first and last token of a text.
  /// Errors: kBadData for a source that is not Jinja, kUnsupported without reads_jinja().
  JinjaTemplate(const std::string& source, std::string bos, std::string eos);
  ~JinjaTemplate();
  JinjaTemplate(JinjaTemplate&&) noexcept;
  JinjaTemplate& operator=(JinjaTemplate&&) noexcept;

  /// The messages as one prompt, up to where the answer begins if `begins_answer`. `values` is a JSON object
  /// of further variables. A template that knows no system message gets it in front of the first message.
  /// Errors: kInvalidArgument (`values`), kUnsupported with the template's own words if it refuses them.
  [[nodiscard]] std::vector<TextPart> render(std::span<const ChatMessage> messages, const std::string& values,
                                             bool begins_answer) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict
