// What a pool of conversations has to do with its store, which other servers may share.
#include <algorithm>
#include <utility>

#include "base/scope_guard.h"
#include "serving/conversation_pool.h"

namespace kvevict::serving {
namespace {

/// Each one that fails has learnt what another server has just done.
constexpr int kMostTriesToLease = 8;

Error answered_elsewhere(const std::string& id) {
  return {ErrorCode::kInvalidArgument,
          "the conversation" + (id.empty() ? id : " \"" + id + "\"") +
              " is being answered by another server of the store: ask again when its answer has ended",
          kElsewhereField};
}

/// Messages at the beginning of both that are the same to the letter.
std::size_t count_equal(const std::vector<RecordedMessage>& a, const std::vector<RecordedMessage>& b) {
  const auto differs = std::ranges::mismatch(a, b, {}, &RecordedMessage::message, &RecordedMessage::message);
  return static_cast<std::size_t>(differs.in1 - a.begin());
}

}  // namespace

/// The conversation of `request`, with its lease where the store is shared. If the store cannot be asked, the
/// answer is made without one, and is not stored. Nothing: it is being answered here. Errors: those of
/// ConversationTable; kInvalidArgument (field kElsewhereField) for one that another server answers.
std::optional<ConversationTable::Claim> ConversationPool::claim(const ChatRequest& request) {
  if (!is_shared()) return claim_known(request, {});
  std::set<Key> elsewhere;
  for (int i = 0; i < kMostTriesToLease; ++i) {
    refresh();
    std::optional<Claim> claim = claim_known(request, elsewhere);
    if (!claim && elsewhere.empty()) return std::nullopt;
    if (!claim) break;
    const ConversationStore::Lease lease = this->lease(*claim);
    if (lease == ConversationStore::Lease::kTaken) return claim;
    if (lease == ConversationStore::Lease::kChanged) continue;
    if (!request.conversation.empty()) break;
    elsewhere.insert(claim->key);  // one that only begins with the same words is a conversation of its own
  }
  throw answered_elsewhere(request.conversation);
}

/// Without the lease, the conversation is no longer claimed, and is known as it is stored now.
ConversationStore::Lease ConversationPool::lease(Claim& claim) {
  using Lease = ConversationStore::Lease;
  const ConversationName name = name_of(claim.key);
  const std::lock_guard store_lock(store_mutex_);
  Lease lease = Lease::kTaken;
  std::optional<StoredConversation> stored;
  try {
    std::string revision;
    {
      const std::lock_guard lock(mutex_);
      revision = table_.known().at(claim.key).revision;
    }
    lease = options_.store->lease(name, revision);
    claim.is_leased = lease == Lease::kTaken;
    if (claim.is_leased) return lease;
    if (lease == Lease::kChanged) stored = options_.store->find(name);
  } catch (const Error& error) {
    note_store_failure(error);
    return Lease::kTaken;
  }
  {
    const std::lock_guard lock(mutex_);
    table_.release(claim.key);
    if (lease == Lease::kElsewhere && claim.is_new) table_.forget(claim.key);
    if (lease == Lease::kElsewhere && claim.is_resting) table_.drop(claim.key);
  }
  if (lease == Lease::kChanged) learn(name, std::move(stored));
  return lease;
}

/// Learns what other servers did since the last call.
void ConversationPool::refresh() {
  if (!is_shared()) return;
  const std::lock_guard store_lock(store_mutex_);
  try {
    const auto stored = options_.store->revisions_if_changed();
    if (!stored) return;
    std::vector<ConversationName> names;
    {
      const std::lock_guard lock(mutex_);
      names = table_.differing(*stored);
    }
    for (const ConversationName& name : names) learn(name, options_.store->find(name));
  } catch (const Error& error) {
    note_store_failure(error);
  }
}

/// A conversation is now what is stored of it, if anything is; what is live of it is an older one.
void ConversationPool::learn(const ConversationName& name, std::optional<StoredConversation> stored) {
  const std::lock_guard lock(mutex_);
  if (const std::optional<Key> key = table_.find(name.first, name.second)) {
    if (table_.known().at(*key).is_claimed) return;
    let_go(*key);
    table_.forget(*key);
  }
  if (!stored) return;
  table_.add_resting({.owner = std::move(stored->owner),
                      .id = std::move(stored->id),
                      .is_named = stored->is_named,
                      .strategy = std::move(stored->strategy),
                      .messages = std::move(stored->messages),
                      .revision = std::move(stored->revision)});
}

ConversationName ConversationPool::name_of(Key key) const {
  const std::lock_guard lock(mutex_);
  const KnownConversation& one = table_.known().at(key);
  return {one.owner, one.id};
}

/// What was stored; null if it cannot be loaded: it is taken in anew then.
std::unique_ptr<Conversation> ConversationPool::load(Key key, const ModelRun& run,
                                                     const ConversationOptions& options) {
  const auto [owner, id] = name_of(key);
  const std::lock_guard lock(store_mutex_);
  try {
    if (const auto file = options_.store->file_of(owner, id)) return places_.load(run, options, *file);
  } catch (const Error& error) {
    note_store_error(error);
  }
  return nullptr;
}

/// Of one conversation.
void ConversationPool::note_store_error(const Error& error) const {
  if (options_.on_store_error) options_.on_store_error(error);
}

/// Of the store itself, so that the next conversation would say the same.
void ConversationPool::note_store_failure(const Error& error) {
  if (!is_store_failing_.exchange(true)) note_store_error(error);
}

/// Stores a conversation as it is now; returns whether it is there. Errors: kInvalidArgument (field
/// kElsewhereField) if another server has taken it over, so that this answer is none.
bool ConversationPool::keep(const Claim& claim, const std::vector<RecordedMessage>& messages) {
  if (!options_.store || (is_shared() && !claim.is_leased)) return false;
  StoredConversation stored{.messages = messages};
  Conversation* chat = nullptr;
  std::size_t n_same = 0;
  {
    const std::lock_guard lock(mutex_);
    const KnownConversation& one = table_.known().at(claim.key);
    stored.owner = one.owner;
    stored.id = one.id;
    stored.is_named = one.is_named;
    stored.strategy = one.strategy;
    stored.revision = one.revision;
    if (one.is_stored) n_same = count_equal(one.messages, messages);
    chat = held_.at(claim.key).chat.get();
  }
  try {
    ConversationStore::Kept kept;
    {
      const std::lock_guard lock(store_mutex_);
      kept = options_.store->put(
          stored, [&](const std::filesystem::path& file) { chat->save(file); }, n_same);
    }
    is_store_failing_ = false;
    return note_kept(claim.key, kept);
  } catch (const Error& error) {
    if (error.field() == kElsewhereField) throw;
    note_store_failure(error);
  } catch (const std::exception& error) {  // whatever it is, the answer is there and is not lost for it
    note_store_failure(Error(ErrorCode::kIo, error.what()));
  }
  give_back_lease(claim);
  return false;
}

/// Returns whether the conversation of `key` is still there.
bool ConversationPool::note_kept(Key key, const ConversationStore::Kept& kept) {
  const std::lock_guard lock(mutex_);
  table_.set_revision(key, kept.revision);
  bool is_there = true;
  for (const auto& [owner, id] : kept.gone) {
    const std::optional<Key> other = table_.find(owner, id);
    if (!other) continue;
    table_.set_revision(*other, "");
    if (other == key) {
      is_there = false;
    } else if (table_.known().at(*other).is_live) {
      table_.set_stored(*other, false);
    } else {
      table_.forget(*other);
    }
  }
  return is_there;
}

void ConversationPool::give_back_lease(const Claim& claim) {
  if (!claim.is_leased) return;
  const ConversationName name = name_of(claim.key);
  const std::lock_guard lock(store_mutex_);
  try {
    options_.store->release(name);
  } catch (const Error& error) {  // it goes back with the next one that is taken
    note_store_failure(error);
  }
}

/// Returns whether nothing is stored of it any more; else another server answers it, and it is known again.
bool ConversationPool::remove_stored(const ConversationName& name) {
  if (!options_.store) return true;
  const std::lock_guard lock(store_mutex_);
  // What is on the disk still is known, so that it can be asked for again that it goes.
  const OnFailure undo([&] { learn(name, options_.store->find(name)); });
  if (options_.store->remove(name.first, name.second)) return true;
  learn(name, options_.store->find(name));
  return false;
}

}  // namespace kvevict::serving
