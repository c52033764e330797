#include "runtime/saved_document.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kvevict/error.h"
#include "runtime/token_bytes.h"

namespace kvevict {

std::string to_data(const SavedDocument& document) {
  nlohmann::json closing = nlohmann::json::array();
  for (const TextPart& part : document.closing)
    closing.push_back({{"text", part.text}, {"special", part.parse_special}});
  std::string data = nlohmann::json{{"kind", "document"},
                                    {"chat", document.is_chat},
                                    {"special", document.parse_special},
                                    {"system", document.system},
                                    {"opening", document.opening},
                                    {"closing", std::move(closing)},
                                    {"n_tokens", document.tokens.size()}}
                         .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
                     "\n";
  add_tokens(data, document.tokens);
  return data;
}

SavedDocument document_from(std::string_view data, const std::filesystem::path& path) {
  const std::size_t line_end = std::min(data.find('\n'), data.size());
  const auto head = nlohmann::json::parse(data.substr(0, line_end), nullptr, false);
  if (!head.is_object() || !head.contains("kind") || head.at("kind") != "document")
    throw Error(ErrorCode::kBadData, path.string() + " is a saved session, but not one of a document");
  data.remove_prefix(std::min(line_end + 1, data.size()));
  const auto refuse = [&](const char* why) {
    return Error(ErrorCode::kBadData, path.string() + " holds a document that cannot be read: " + why);
  };
  try {
    SavedDocument document{.is_chat = head.at("chat"),
                           .parse_special = head.at("special"),
                           .system = head.at("system"),
                           .opening = head.at("opening")};
    for (const nlohmann::json& part : head.at("closing"))
      document.closing.push_back({part.at("text"), part.at("special")});
    document.tokens = take_tokens(data, head.at("n_tokens"));
    return document;
  } catch (const nlohmann::json::exception& error) {
    throw refuse(error.what());
  } catch (const Error& error) {
    throw refuse(error.what());
  }
}

}  // namespace kvevict
