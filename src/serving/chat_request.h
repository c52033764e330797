#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvevict/conversation.h"

namespace kvevict::serving {

/// Owner and id of a conversation.
using ConversationName = std::pair<std::string, std::string>;

/// The field of an error about a conversation that another server of the store answers: it may be asked for
/// again.
inline constexpr const char* kElsewhereField = "conversation";

/// A text that is gone on with as it stands: without a template, and outside of every conversation.
struct TextPrompt {
  std::vector<Token> tokens{};  ///< One or more.
  /// Called in order with the probability of each of them but the first, and of the `n_best` most probable
  /// ones, each after what the cache then held. Nothing is computed without it.
  std::function<void(const DrawnToken&)> on_token{};
  int n_best = 0;
};

/// A whole history that wants its next answer.
struct ChatRequest {
  std::string owner{};         ///< Whose conversations it may meet; never matched with another's.
  std::string conversation{};  ///< Its name; empty: it is found by its messages.
  std::string strategy{};      ///< In the grammar; empty: the server's, or what the conversation has.
  std::vector<ChatMessage> messages{};
  AnswerOptions form{};
  std::optional<TextPrompt> text{};  ///< In place of messages and a conversation.
};

/// What a conversation holds. Counts in tokens, a layer.
struct ConversationFigures {
  std::string id{};
  std::string strategy{};
  std::int64_t n_turns = 0;
  std::int64_t n_kept = 0;
  std::int64_t n_evicted = 0;
  std::int64_t n_cells = 0;
  std::int64_t kv_bytes = 0;
  bool is_live = true;  ///< false: it rests in the store, and what it keeps is not known.
};

struct ChatResult {
  MessagesAnswer answer{};
  std::int64_t n_evicted = 0;          ///< Tokens that were evicted while it was made.
  ConversationFigures conversation{};  ///< As the answer left it.
};

}  // namespace kvevict::serving
