#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/keep_plan.h"
#include "kvevict/model.h"
#include "runtime/recorded_message.h"

namespace kvevict {

/// The document that a chat is about: the first of its tokens.
struct ChatDocument {
  std::int64_t n_tokens = 0;       ///< Of the document, evicted ones too.
  KeepPlan kept{};                 ///< What the cache holds of it as long as the chat goes on.
  std::int64_t n_turn_tokens = 0;  ///< Newest tokens of what is said that stay behind it.
};

/// What a chat keeps beside its session.
struct SavedChat {
  std::string system;
  std::int64_t n_turns = 0;
  std::vector<Token> seen, waiting;
  std::vector<RecordedMessage> messages;  ///< Empty if they are not known.
  std::optional<ChatDocument> document{};
};

/// As `SessionExtras::application_data`: a line of JSON, then the tokens, 4 bytes each, little-endian.
[[nodiscard]] std::string to_data(const SavedChat& chat);

/// Errors: kBadData, naming the file `path`, for data that are not a chat's or contradict themselves.
[[nodiscard]] SavedChat chat_from(std::string_view data, const std::filesystem::path& path);

}  // namespace kvevict
