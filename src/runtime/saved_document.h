#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/model.h"

namespace kvevict {

/// What a document keeps beside its session.
struct SavedDocument {
  bool is_chat = false;
  bool parse_special = false;
  std::string system{};             ///< Of a chat.
  std::string opening{};            ///< What stands between the tokens and a question.
  std::vector<TextPart> closing{};  ///< What stands behind a question.
  std::vector<Token> tokens{};
};

/// As `SessionExtras::application_data`: a line of JSON, then the tokens, 4 bytes each, little-endian.
[[nodiscard]] std::string to_data(const SavedDocument& document);

/// Errors: kBadData, naming the file `path`, for data that are not a document's or contradict themselves.
[[nodiscard]] SavedDocument document_from(std::string_view data, const std::filesystem::path& path);

}  // namespace kvevict
