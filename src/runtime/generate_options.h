#pragma once

#include "kvevict/conversation.h"
#include "kvevict/session_options.h"

namespace kvevict {

/// What `form` says of how an answer is drawn; without `recent` and the callbacks for its text.
[[nodiscard]] GenerateOptions generate_options(const AnswerOptions& form);

}  // namespace kvevict
