#include "runtime/saved_chat.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "kvevict/error.h"

namespace kvevict {
namespace {

void add_tokens(std::string& data, const std::vector<Token>& tokens) {
  data.append(reinterpret_cast<const char*>(tokens.data()), tokens.size() * sizeof(Token));
}

std::vector<Token> take_tokens(std::string_view& data, std::size_t n) {
  if (n > data.size() / sizeof(Token)) throw Error(ErrorCode::kBadData, "it has fewer tokens than it says");
  std::vector<Token> tokens(n);
  if (n > 0) std::memcpy(tokens.data(), data.data(), n * sizeof(Token));
  data.remove_prefix(n * sizeof(Token));
  return tokens;
}

}  // namespace

std::string to_data(const SavedChat& chat) {
  std::string data = nlohmann::json{{"kind", "chat"},
                                    {"system", chat.system},
                                    {"turns", chat.n_turns},
                                    {"n_seen", chat.seen.size()},
                                    {"n_waiting", chat.waiting.size()}}
                         .dump() +
                     "\n";
  add_tokens(data, chat.seen);
  add_tokens(data, chat.waiting);
  return data;
}

SavedChat chat_from(std::string_view data, const std::filesystem::path& path) {
  const std::size_t line_end = std::min(data.find('\n'), data.size());
  const auto head = nlohmann::json::parse(data.substr(0, line_end), nullptr, false);
  if (!head.is_object() || head.value("kind", "") != "chat") {
    throw Error(ErrorCode::kBadData, path.string() + " is a saved session, but not one of a chat");
  }
  data.remove_prefix(std::min(line_end + 1, data.size()));
  try {
    SavedChat chat{.system = head.at("system"), .n_turns = head.at("turns"), .seen = {}, .waiting = {}};
    chat.seen = take_tokens(data, head.at("n_seen"));
    chat.waiting = take_tokens(data, head.at("n_waiting"));
    return chat;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kBadData, path.string() + " holds a chat that cannot be read: " + error.what());
  } catch (const Error& error) {
    throw Error(error.code(), path.string() + " holds a chat that cannot be read: " + error.what());
  }
}

}  // namespace kvevict
