#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvevict/chat_message.h"

namespace kvevict::http {

/// What was said up to each of the last responses, for those that name one to go on with. In memory alone;
/// beyond the limits the oldest goes. Thread safety: any number of threads.
class ResponseHistory {
 public:
  static constexpr std::size_t kMost = 4096;
  static constexpr std::size_t kMostBytes = std::size_t{64} << 20;  ///< Of texts.

  void put(std::string owner, std::string id, std::vector<ChatMessage> messages) {
    Said said{.owner = std::move(owner), .id = std::move(id), .messages = std::move(messages)};
    for (const ChatMessage& one : said.messages) {
      said.n_bytes += one.content.size() + one.reasoning.size() + sizeof(ChatMessage);
      for (const ToolCall& call : one.tool_calls) said.n_bytes += call.arguments.size() + sizeof(ToolCall);
    }
    const std::lock_guard lock(mutex_);
    n_bytes_ += said.n_bytes;
    said_.push_back(std::move(said));
    while (!said_.empty() && (said_.size() > kMost || n_bytes_ > kMostBytes)) {
      n_bytes_ -= said_.front().n_bytes;
      said_.pop_front();
    }
  }

  /// Nothing if this owner has no such response, or no longer.
  [[nodiscard]] std::optional<std::vector<ChatMessage>> find(const std::string& owner,
                                                             const std::string& id) const {
    const std::lock_guard lock(mutex_);
    for (const Said& one : said_) {
      if (one.id == id && one.owner == owner) return one.messages;
    }
    return std::nullopt;
  }

 private:
  struct Said {
    std::string owner;
    std::string id;
    std::vector<ChatMessage> messages;
    std::size_t n_bytes = 0;
  };

  mutable std::mutex mutex_;
  std::deque<Said> said_;  // the oldest first
  std::size_t n_bytes_ = 0;
};

}  // namespace kvevict::http
