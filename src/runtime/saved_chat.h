#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/model.h"
#include "runtime/recorded_message.h"

namespace kvevict {

/// What a chat keeps beside its session.
struct SavedChat {
  std::string system;
  std::int64_t n_turns = 0;
  std::vector<Token> seen, waiting;
  std::vector<RecordedMessage> messages;  ///< Empty if they are not known.
};

/// As `SessionExtras::application_data`: a line of JSON, then the tokens, 4 bytes each, little-endian.
[[nodiscard]] std::string to_data(const SavedChat& chat);

/// Errors: kBadData, naming the file `path`, for data that are not a chat's or contradict themselves.
[[nodiscard]] SavedChat chat_from(std::string_view data, const std::filesystem::path& path);

}  // namespace kvevict
