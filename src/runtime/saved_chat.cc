#include "runtime/saved_chat.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kvevict/error.h"
#include "runtime/message_json.h"
#include "runtime/token_bytes.h"

namespace kvevict {
namespace {

nlohmann::json json_of(const std::vector<RecordedMessage>& messages) {
  nlohmann::json all = nlohmann::json::array();
  for (const RecordedMessage& one : messages) {
    nlohmann::json json = message_json(one.message);
    if (one.n_tokens) json["n_tokens"] = *one.n_tokens;
    all.push_back(std::move(json));
  }
  return all;
}

/// Errors: kBadData for an answer that ends behind `n_tokens`, the conversation's.
std::vector<RecordedMessage> messages_from(const nlohmann::json& all, std::size_t n_tokens) {
  std::vector<RecordedMessage> messages;
  for (const nlohmann::json& json : all) {
    RecordedMessage one{message_from_json(json)};
    if (json.contains("n_tokens")) one.n_tokens = json.at("n_tokens");
    if (one.n_tokens && (*one.n_tokens < 0 || static_cast<std::size_t>(*one.n_tokens) > n_tokens))
      throw Error(ErrorCode::kBadData, "an answer ends behind its tokens");
    messages.push_back(std::move(one));
  }
  return messages;
}

/// Errors: kBadData for a document longer than the `n_tokens` tokens seen, or whose end is not held.
ChatDocument chat_document_from(const nlohmann::json& json, std::size_t n_tokens) {
  ChatDocument document{.n_tokens = json.at("n_tokens"),
                        .kept = keep_plan_from_text(json.at("kept").get<std::string>()),
                        .n_turn_tokens = json.at("turn_tokens")};
  bool is_sound = document.n_tokens > 0 && static_cast<std::size_t>(document.n_tokens) <= n_tokens;
  for (const KeepSet& set : document.kept.distinct_sets())
    is_sound = is_sound && set.end() == document.n_tokens;
  if (!is_sound) throw Error(ErrorCode::kBadData, "its document does not fit its tokens");
  return document;
}

}  // namespace

std::string to_data(const SavedChat& chat) {
  nlohmann::json head = {{"kind", "chat"},
                         {"system", chat.system},
                         {"turns", chat.n_turns},
                         {"n_seen", chat.seen.size()},
                         {"n_waiting", chat.waiting.size()},
                         {"messages", json_of(chat.messages)}};
  if (chat.document) {
    head["document"] = {{"n_tokens", chat.document->n_tokens},
                        {"kept", to_text(chat.document->kept)},
                        {"turn_tokens", chat.document->n_turn_tokens}};
  }
  std::string data = head.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
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
    SavedChat chat;
    chat.system = head.at("system");
    chat.n_turns = head.at("turns");
    chat.seen = take_tokens(data, head.at("n_seen"));
    chat.waiting = take_tokens(data, head.at("n_waiting"));
    if (head.contains("messages"))  // older files lack them
      chat.messages = messages_from(head.at("messages"), chat.seen.size() + chat.waiting.size());
    if (head.contains("document")) chat.document = chat_document_from(head.at("document"), chat.seen.size());
    return chat;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kBadData, path.string() + " holds a chat that cannot be read: " + error.what());
  } catch (const Error& error) {
    throw Error(error.code(), path.string() + " holds a chat that cannot be read: " + error.what());
  }
}

}  // namespace kvevict
