#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/recorded_message.h"
#include "serving/chat_request.h"

namespace kvevict::serving {

/// A conversation that can be gone on with.
struct KnownConversation {
  std::string owner;
  std::string id;
  bool is_named = false;   ///< The client gave the name: it is found by that alone.
  std::string strategy{};  ///< As it was asked for when it began, in full; empty: the server's.
  std::vector<RecordedMessage> messages{};  ///< While it is claimed: those of before.
  std::int64_t n_turns = 0;                 ///< Messages of users among them. Set by the table.
  std::uint64_t last_use = 0;
  bool is_claimed = false;  ///< Is being answered.
  bool is_live = true;      ///< Its state is in memory.
  bool is_stored = false;   ///< Its state is in a store.
  std::string revision{};   ///< What a store has of it, as far as it is known here; empty: nothing.
};

/// Which conversation a request goes on with. At most `n_live` are live, texts outside of every conversation
/// included; one more takes the place of the conversation that was used longest ago, which rests if it is
/// stored, and is forgotten if not.
///
/// Thread safety: one thread at a time.
class ConversationTable {
 public:
  using Key = std::uint64_t;

  struct Claim {
    Key key = 0;
    bool is_new = false;
    bool is_resting = false;       ///< It is in the store alone: its state is to be loaded.
    bool is_leased = false;        ///< No other server of the store answers it. Set by who asks the store.
    std::optional<Key> dropped{};  ///< Whose place in memory it took.
  };

  /// `make_id` gives a new conversation without a name an id of its own.
  ConversationTable(std::size_t n_live, std::function<std::string()> make_id)
      : n_live_(n_live), make_id_(std::move(make_id)) {}

  /// The conversation of `request`: the one of its name; else of those of its owner without a name and of the
  /// same strategy the one that has the most of its messages, up to and with the first user's; else a new
  /// one. A list that ends with its first user message begins a conversation, and goes on with none that had
  /// a second one. Claimed until `release` or `forget`. Nothing: it must wait, for that conversation is
  /// claimed; a list that has no more than a beginning with it begins another one instead. REQUIRES: fewer
  /// than `n_live` are claimed, and places taken. `elsewhere` are those that another server answers: as if
  /// they were claimed. Errors: kInvalidArgument (field "strategy") for a name whose conversation began with
  /// another strategy.
  [[nodiscard]] std::optional<Claim> claim(const ChatRequest& request, const std::set<Key>& elsewhere = {});

  /// The conversation of `key` has now said `messages`.
  void release(Key key, std::vector<RecordedMessage> messages);

  /// Without any change but that it is no longer claimed.
  void release(Key key) { known_.at(key).is_claimed = false; }

  /// Whether the state of `key`, as it is in the table, is in the store.
  void set_stored(Key key, bool is_stored) { known_.at(key).is_stored = is_stored; }

  /// What a store has of `key`.
  void set_revision(Key key, std::string revision) { known_.at(key).revision = std::move(revision); }

  void forget(Key key);

  /// A place in memory for a text, until `give_place`; returns whose it was. REQUIRES: as `claim`.
  [[nodiscard]] std::optional<Key> take_place();
  void give_place() { n_taken_ -= 1; }

  /// The state of `key` is no longer in memory: it rests if it is stored, else it is forgotten.
  void drop(Key key);

  /// A conversation that a store has; it was used later than those that are there.
  void add_resting(KnownConversation conversation);

  /// The conversation of this owner and id.
  [[nodiscard]] std::optional<Key> find(const std::string& owner, const std::string& id) const;

  /// Of what a store has, names and revisions, those that are not known here as they are there; and those
  /// that are no longer there. Claimed ones are left out.
  [[nodiscard]] std::vector<ConversationName> differing(
      const std::vector<std::pair<ConversationName, std::string>>& stored) const;

  [[nodiscard]] const std::map<Key, KnownConversation>& known() const { return known_; }

 private:
  [[nodiscard]] std::optional<Key> match(const ChatRequest& request, const std::set<Key>& elsewhere) const;
  [[nodiscard]] Claim begin(const ChatRequest& request);
  [[nodiscard]] std::optional<Key> make_room();
  void add(Key key, KnownConversation conversation);

  std::size_t n_live_;
  std::function<std::string()> make_id_;
  std::map<Key, KnownConversation> known_{};
  std::map<ConversationName, Key> by_name_{};
  std::size_t n_taken_ = 0;  // places of texts
  Key n_begun_ = 0;
  std::uint64_t now_ = 0;
};

}  // namespace kvevict::serving
