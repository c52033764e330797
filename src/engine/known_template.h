#pragma once

#include <span>
#include <string>
#include <vector>

#include "kvevict/prompt_template.h"

namespace kvevict {

/// Throws `Error(kUnsupported)` unless llama.cpp knows the template `source`, by its name or by its text.
void require_known_template(const std::string& source, const std::string& model_name);

/// The messages by llama.cpp's own list of templates, which knows the most common ones by their wording.
/// Errors: kUnsupported.
[[nodiscard]] std::vector<TextPart> render_known_template(const std::string& source,
                                                          std::span<const ChatMessage> messages,
                                                          bool begins_answer);

}  // namespace kvevict
