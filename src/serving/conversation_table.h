#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/recorded_message.h"
#include "serving/chat_request.h"

namespace kvevict::serving {

/// A conversation that is live.
struct LiveConversation {
  std::string owner;
  std::string id;
  bool is_named = false;   ///< The client gave the name: it is found by that alone.
  std::string strategy{};  ///< As it was asked for when it began, in full; empty: the server's.
  std::vector<RecordedMessage> messages{};
  std::uint64_t last_use = 0;
  bool is_claimed = false;  ///< Is being answered.
};

/// Which conversation a request goes on with. At most `n_live` are remembered; a new one takes the place of
/// the one that was used longest ago.
///
/// Thread safety: one thread at a time.
class ConversationTable {
 public:
  using Key = std::uint64_t;

  struct Claim {
    Key key = 0;
    bool is_new = false;
    std::optional<Key> dropped{};  ///< Whose place a new one took.
  };

  /// `make_id` gives a new conversation without a name an id of its own.
  ConversationTable(std::size_t n_live, std::function<std::string()> make_id)
      : n_live_(n_live), make_id_(std::move(make_id)) {}

  /// The conversation of `request`: the one of its name; else of those of its owner without a name and of the
  /// same strategy the one that has the most of its messages, up to and with the first user's; else a new
  /// one. A list that ends with its first user message begins a conversation, and goes on with none that had
  /// a second one. Claimed until `release` or `forget`. REQUIRES: fewer than `n_live` are claimed; not the
  /// one of that name. Errors: kInvalidArgument (field "strategy") for a name whose conversation began with
  /// another strategy.
  [[nodiscard]] Claim claim(const ChatRequest& request);

  /// The conversation of `key` has now said `messages`.
  void release(Key key, std::vector<RecordedMessage> messages);

  /// Without any change but that it is no longer claimed.
  void release(Key key) { live_.at(key).is_claimed = false; }

  void forget(Key key) { live_.erase(key); }

  /// The live conversation of this owner and id.
  [[nodiscard]] std::optional<Key> find(const std::string& owner, const std::string& id) const;

  [[nodiscard]] const std::map<Key, LiveConversation>& live() const { return live_; }

 private:
  [[nodiscard]] std::optional<Key> match(const ChatRequest& request) const;
  [[nodiscard]] Claim begin(const ChatRequest& request);

  std::size_t n_live_;
  std::function<std::string()> make_id_;
  std::map<Key, LiveConversation> live_{};
  Key n_begun_ = 0;
  std::uint64_t now_ = 0;
};

}  // namespace kvevict::serving
