#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <vector>

#include "kvevict/answer_format.h"
#include "kvevict/chat_message.h"

// Messages as Python has them: those of OpenAI's interface, by the server's own rules (http/chat_messages.h).

namespace kvevict::python {

/// What is asked, and how the answer may call functions.
struct AskedMessages {
  std::vector<ChatMessage> messages;
  AnswerFormatOptions format{};
};

/// A list of dicts with "role" and "content"; answers may have "reasoning_content" and "tool_calls", results
/// of calls have "tool_call_id". Throws nb::type_error for what is no list of dicts, `Error` that names the
/// place for values that cannot be.
[[nodiscard]] std::vector<ChatMessage> messages_from(const nanobind::list& list);

/// The same with the functions that the answer may call, and "tool_choice"; None: none, and "auto".
[[nodiscard]] AskedMessages asked_from(const nanobind::list& list, const nanobind::object& tools,
                                       const nanobind::object& tool_choice);

/// An answer as such a dict: "content" is None beside calls alone, "reasoning_content" and "tool_calls" are
/// there if it has them.
[[nodiscard]] nanobind::dict to_dict(const ChatMessage& answer);

}  // namespace kvevict::python
