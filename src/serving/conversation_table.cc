#include "serving/conversation_table.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "kvevict/error.h"

namespace kvevict::serving {
namespace {

/// Messages up to and with the first user's; nothing without one.
std::optional<std::size_t> count_opening(const std::vector<ChatMessage>& messages) {
  const auto first = std::ranges::find(messages, "user", &ChatMessage::role);
  if (first == messages.end()) return std::nullopt;
  return static_cast<std::size_t>(first - messages.begin()) + 1;
}

std::int64_t count_turns(const std::vector<RecordedMessage>& messages) {
  return std::ranges::count_if(messages,
                               [](const RecordedMessage& one) { return one.message.role == "user"; });
}

}  // namespace

std::optional<ConversationTable::Claim> ConversationTable::claim(const ChatRequest& request,
                                                                 const std::set<Key>& elsewhere) {
  const std::optional<Key> known =
      request.conversation.empty() ? match(request, elsewhere) : find(request.owner, request.conversation);
  if (!known) return begin(request);
  KnownConversation& one = known_.at(*known);
  if (!request.strategy.empty() && request.strategy != one.strategy) {
    throw Error(ErrorCode::kInvalidArgument,
                "the conversation \"" + one.id + "\" began with " +
                    (one.strategy.empty() ? "the server's own strategy" : "the strategy " + one.strategy) +
                    ", which it keeps: leave \"strategy\" out, or name another conversation",
                "strategy");
  }
  if (one.is_claimed || elsewhere.contains(*known)) return std::nullopt;
  Claim claim{.key = *known, .is_resting = !one.is_live};
  one.is_claimed = true;
  if (claim.is_resting) claim.dropped = make_room();
  one.is_live = true;
  one.last_use = ++now_;
  return claim;
}

void ConversationTable::release(Key key, std::vector<RecordedMessage> messages) {
  KnownConversation& one = known_.at(key);
  one.messages = std::move(messages);
  one.n_turns = count_turns(one.messages);
  release(key);
}

std::optional<ConversationTable::Key> ConversationTable::find(const std::string& owner,
                                                              const std::string& id) const {
  const auto found = by_name_.find({owner, id});
  return found == by_name_.end() ? std::nullopt : std::optional(found->second);
}

void ConversationTable::add(Key key, KnownConversation conversation) {
  by_name_.emplace(ConversationName{conversation.owner, conversation.id}, key);
  known_.emplace(key, std::move(conversation));
}

void ConversationTable::forget(Key key) {
  const KnownConversation& one = known_.at(key);
  by_name_.erase({one.owner, one.id});
  known_.erase(key);
}

std::optional<ConversationTable::Key> ConversationTable::match(const ChatRequest& request,
                                                               const std::set<Key>& elsewhere) const {
  const std::optional<std::size_t> n_opening = count_opening(request.messages);
  if (!n_opening) return std::nullopt;
  const bool begins = request.messages.size() == *n_opening;
  std::optional<Key> best;
  std::tuple<std::size_t, std::size_t, std::uint64_t> best_rank;
  for (const auto& [key, one] : known_) {
    if (one.is_named || one.owner != request.owner || one.strategy != request.strategy) continue;
    const std::size_t n_same = count_same(request.messages, one.messages);
    const bool is_busy = one.is_claimed || elsewhere.contains(key);
    if (is_busy && n_same <= *n_opening) continue;  // another one may begin with the same words
    if (n_same < *n_opening || (begins && one.messages.size() > *n_opening + 1)) continue;
    const std::size_t n_lost = one.messages.size() - n_same;
    const std::tuple rank{n_same, SIZE_MAX - n_lost, one.last_use};
    if (!best || rank > best_rank) {
      best = key;
      best_rank = rank;
    }
  }
  return best;
}

/// Makes room in memory for one more.
std::optional<ConversationTable::Key> ConversationTable::make_room() {
  const auto n = std::ranges::count_if(known_, [](const auto& one) { return one.second.is_live; });
  if (static_cast<std::size_t>(n) + n_taken_ < n_live_) return std::nullopt;
  auto oldest = known_.end();
  for (auto it = known_.begin(); it != known_.end(); ++it) {
    const KnownConversation& one = it->second;
    if (one.is_live && !one.is_claimed && (oldest == known_.end() || one.last_use < oldest->second.last_use))
      oldest = it;
  }
  const Key key = oldest->first;
  drop(key);
  return key;
}

std::optional<ConversationTable::Key> ConversationTable::take_place() {
  const std::optional<Key> dropped = make_room();
  n_taken_ += 1;
  return dropped;
}

void ConversationTable::drop(Key key) {
  if (known_.at(key).is_stored) {
    known_.at(key).is_live = false;
  } else {
    forget(key);
  }
}

std::vector<ConversationName> ConversationTable::differing(
    const std::vector<std::pair<ConversationName, std::string>>& stored) const {
  std::map<ConversationName, const KnownConversation*> left;
  for (const auto& [key, one] : known_) left.emplace(ConversationName{one.owner, one.id}, &one);
  std::vector<ConversationName> names;
  for (const auto& [name, revision] : stored) {
    const auto known = left.extract(name);
    if (known.empty() || (!known.mapped()->is_claimed && known.mapped()->revision != revision))
      names.push_back(name);
  }
  for (const auto& [name, one] : left) {
    if (!one->is_claimed && !one->revision.empty()) names.push_back(name);
  }
  return names;
}

ConversationTable::Claim ConversationTable::begin(const ChatRequest& request) {
  Claim claim{.key = ++n_begun_, .is_new = true, .dropped = make_room()};
  const bool is_named = !request.conversation.empty();
  add(claim.key, {.owner = request.owner,
                  .id = is_named ? request.conversation : make_id_(),
                  .is_named = is_named,
                  .strategy = request.strategy,
                  .last_use = ++now_,
                  .is_claimed = true});
  return claim;
}

void ConversationTable::add_resting(KnownConversation conversation) {
  conversation.last_use = ++now_;
  conversation.is_live = false;
  conversation.is_stored = true;
  conversation.n_turns = count_turns(conversation.messages);
  add(++n_begun_, std::move(conversation));
}

}  // namespace kvevict::serving
