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

nlohmann::json json_of(const std::vector<RecordedMessage>& messages) {
  nlohmann::json all = nlohmann::json::array();
  for (const RecordedMessage& one : messages) {
    nlohmann::json json = {{"role", one.message.role}, {"content", one.message.content}};
    if (one.n_tokens) json["n_tokens"] = *one.n_tokens;
    all.push_back(std::move(json));
  }
  return all;
}

/// Errors: kBadData for an answer that ends behind `n_tokens`, the conversation's.
std::vector<RecordedMessage> messages_from(const nlohmann::json& all, std::size_t n_tokens) {
  std::vector<RecordedMessage> messages;
  for (const nlohmann::json& json : all) {
    RecordedMessage one{{json.at("role"), json.at("content")}};
    if (json.contains("n_tokens")) one.n_tokens = json.at("n_tokens");
    if (one.n_tokens && (*one.n_tokens < 0 || static_cast<std::size_t>(*one.n_tokens) > n_tokens))
      throw Error(ErrorCode::kBadData, "an answer ends behind its tokens");
    messages.push_back(std::move(one));
  }
  return messages;
}

}  // namespace

std::string to_data(const SavedChat& chat) {
  std::string data = nlohmann::json{{"kind", "chat"},
                                    {"system", chat.system},
                                    {"turns", chat.n_turns},
                                    {"n_seen", chat.seen.size()},
                                    {"n_waiting", chat.waiting.size()},
                                    {"messages", json_of(chat.messages)}}
                         .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
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
    SavedChat chat{
        .system = head.at("system"), .n_turns = head.at("turns"), .seen = {}, .waiting = {}, .messages = {}};
    chat.seen = take_tokens(data, head.at("n_seen"));
    chat.waiting = take_tokens(data, head.at("n_waiting"));
    if (head.contains("messages"))  // older files lack them
      chat.messages = messages_from(head.at("messages"), chat.seen.size() + chat.waiting.size());
    return chat;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kBadData, path.string() + " holds a chat that cannot be read: " + error.what());
  } catch (const Error& error) {
    throw Error(error.code(), path.string() + " holds a chat that cannot be read: " + error.what());
  }
}

}  // namespace kvevict
