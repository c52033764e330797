#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "kvevict/conversation.h"
#include "support/test_models.h"

namespace kvevict::test {

using Messages = std::vector<ChatMessage>;

inline ConversationOptions options_for(const std::atomic<bool>* cancel = nullptr) {
  ConversationOptions options;
  options.max_new_tokens = 12;
  options.session.n_chunk = 64;
  options.session.type_k = options.session.type_v = KvType::kF32;
  options.session.flash_attention = FlashAttention::kOff;
  options.session.cancel = cancel;
  return options;
}

inline Conversation make_chat(const std::string& strategy, ConversationOptions options = options_for()) {
  return {load_model(shallow_f32_model_path()), make_policy(strategy), std::move(options)};
}

inline MessagesAnswer answer(Conversation& chat, const Messages& messages) {
  return chat.answer_messages(messages, [](std::string_view) {});
}

/// Lets `chat` answer `messages` and adds its answer to them.
inline MessagesAnswer take_turn(Conversation& chat, Messages& messages, const std::string& message) {
  messages.push_back({"user", message});
  const MessagesAnswer result = answer(chat, messages);
  messages.push_back({"assistant", result.text});
  return result;
}

inline Messages opening() {
  return {{"system", "You are a terse lighthouse keeper."}};
}

/// A talk of `n_turns` turns.
inline Messages talk(Conversation& chat, int n_turns) {
  Messages messages = opening();
  for (int turn = 0; turn < n_turns; ++turn)
    take_turn(chat, messages, "Tell me about storm number " + std::to_string(turn) + " of that winter.");
  return messages;
}

inline std::string prompt_of(const Messages& messages, const TemplateOptions& options = {}) {
  const auto model = load_model(shallow_f32_model_path());
  return text_of(PromptTemplate(*model, options).render(messages));
}

inline std::string text_seen(const Conversation& chat) {
  return chat.session().model().detokenize(chat.seen(), true);
}

}  // namespace kvevict::test
