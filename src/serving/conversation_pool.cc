#include "serving/conversation_pool.h"

#include <algorithm>
#include <random>
#include <utility>

#include "kvevict/grammar.h"
#include "runtime/generate_options.h"
#include "serving/text_answer.h"

namespace kvevict::serving {
namespace {

/// "c-" and 16 hexadecimal digits.
std::string random_id() {
  static thread_local std::random_device device;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id = "c-";
  for (int i = 0; i < 4; ++i) {
    std::uint32_t bits = device();
    for (int j = 0; j < 4; ++j, bits >>= 4U) id += kDigits[bits & 15U];
  }
  return id;
}

ConversationFigures figures_of(const Conversation& chat, std::string id) {
  const SessionStats stats = chat.stats();
  return {.id = std::move(id),
          .strategy = to_string(chat.session().policy().spec()),
          .n_turns = chat.n_turns(),
          .n_kept = stats.n_tokens_held,
          .n_evicted = stats.n_tokens_seen - stats.n_tokens_held,
          .n_cells = stats.n_cells,
          .kv_bytes = stats.kv_bytes};
}

std::vector<RecordedMessage> recorded(const std::vector<ChatMessage>& messages, ChatMessage answer) {
  std::vector<RecordedMessage> all;
  all.reserve(messages.size() + 1);
  for (const ChatMessage& message : messages) all.push_back({message});
  all.push_back({std::move(answer)});
  return all;
}

/// Whether an error is about the request, so that the conversation is as good as before.
bool is_about_the_request(ErrorCode code) {
  return code == ErrorCode::kInvalidArgument || code == ErrorCode::kBadData ||
         code == ErrorCode::kUnsupported || code == ErrorCode::kCancelled;
}

std::string system_of(const ChatRequest& request) {
  const bool has_system = !request.messages.empty() && request.messages.front().role == "system";
  return has_system ? request.messages.front().content : std::string();
}

}  // namespace

ConversationPool::ConversationPool(PoolOptions options)
    : options_(std::move(options)), table_(options_.n_live, random_id) {
  if (options_.store) {
    for (StoredConversation& one : options_.store->all()) {
      table_.add_resting({.owner = std::move(one.owner),
                          .id = std::move(one.id),
                          .is_named = one.is_named,
                          .strategy = std::move(one.strategy),
                          .messages = std::move(one.messages)});
    }
  }
  try {
    template_.emplace(*options_.model, options_.prompt_template);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    template_error_ = error;
  }
}

const PromptTemplate& ConversationPool::usable_template() const {
  if (template_error_) throw *template_error_;
  return *template_;
}

/// With the server's system prompt, if it brings none, and its strategy written in full.
ChatRequest ConversationPool::complete(ChatRequest request) const {
  if (!options_.system.empty() && system_of(request).empty())
    request.messages.insert(request.messages.begin(), {"system", options_.system});
  if (!request.strategy.empty()) request.strategy = to_string(parse_strategy(request.strategy));
  return request;
}

std::string ConversationPool::prompt(const std::vector<ChatMessage>& messages) const {
  return text_of(usable_template().render(complete({.messages = messages}).messages));
}

std::shared_ptr<const AnswerFormat> ConversationPool::format_of(const ChatRequest& request,
                                                                const AnswerFormatOptions& options) const {
  return usable_template().answer_format(complete(request).messages, options);
}

void ConversationPool::check(const ChatRequest& request) const {
  if (request.text) {
    (void)run_of_text(request);
    return;
  }
  const ChatRequest whole = complete(request);
  (void)usable_template().render(whole.messages);
  if (!request.strategy.empty()) (void)options_.run_for(whole.strategy, "");
  if (const std::string grammar = generate_options(request.form).grammar; !grammar.empty())
    require_grammar(*options_.model, grammar);
}

ChatResult ConversationPool::answer(const ChatRequest& request,
                                    const std::function<void(std::string_view)>& on_text) {
  const ChatRequest whole = complete(request);
  ConversationTable::Claim claim;
  {
    const std::lock_guard lock(mutex_);
    claim = table_.claim(whole);
    if (claim.dropped) held_.erase(*claim.dropped);
  }
  try {
    Conversation& chat = make_room_for(claim, whole);
    return finish(claim.key, chat.answer_messages(whole.messages, whole.form, on_text), whole);
  } catch (const Error& error) {
    give_up(claim.key, claim.is_new || !is_about_the_request(error.code()));
    throw;
  } catch (...) {
    give_up(claim.key, true);
    throw;
  }
}

std::unique_ptr<Conversation> ConversationPool::begin(const ChatRequest& request) const {
  ModelRun run = options_.run_for(request.strategy, system_of(request));
  run.options.cancel = &is_cancelled_;
  ConversationOptions options{.prompt_template = options_.prompt_template,
                              .keep_reasoning = options_.keep_reasoning,
                              .session = std::move(run.options)};
  return std::make_unique<Conversation>(options_.model, std::move(run.policy), std::move(options));
}

Conversation& ConversationPool::make_room_for(const ConversationTable::Claim& claim,
                                              const ChatRequest& request) {
  if (!claim.is_new && !claim.is_resting) {
    const std::lock_guard lock(mutex_);
    return *held_.at(claim.key).chat;
  }
  std::unique_ptr<Conversation> chat = begin(request);
  if (claim.is_resting) load(claim.key, *chat);
  Conversation& made = *chat;
  const std::lock_guard lock(mutex_);
  held_[claim.key] = {.chat = std::move(chat), .figures = figures_of(made, table_.known().at(claim.key).id)};
  return made;
}

/// What cannot be loaded is taken in anew.
void ConversationPool::load(Key key, Conversation& chat) {
  std::string owner, id;
  {
    const std::lock_guard lock(mutex_);
    owner = table_.known().at(key).owner;
    id = table_.known().at(key).id;
  }
  const std::lock_guard lock(store_mutex_);
  try {
    if (const auto file = options_.store->file_of(owner, id)) chat.load(*file);
  } catch (const Error& error) {
    note_store_error(error);
  }
}

void ConversationPool::note_store_error(const Error& error) const {
  if (options_.on_store_error) options_.on_store_error(error);
}

/// Stores a conversation as it is now; returns whether it is there.
bool ConversationPool::keep(Key key, const std::vector<RecordedMessage>& messages) {
  if (!options_.store) return false;
  StoredConversation stored{.messages = messages};
  Conversation* chat = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const KnownConversation& one = table_.known().at(key);
    stored.owner = one.owner;
    stored.id = one.id;
    stored.is_named = one.is_named;
    stored.strategy = one.strategy;
    chat = held_.at(key).chat.get();
  }
  std::vector<ConversationStore::Name> gone;
  try {
    const std::lock_guard lock(store_mutex_);
    gone = options_.store->put(stored, [&](const std::filesystem::path& file) { chat->save(file); });
  } catch (const Error& error) {
    note_store_error(error);
    return false;
  } catch (const std::exception& error) {  // whatever it is, the answer is there and is not lost for it
    note_store_error(Error(ErrorCode::kIo, error.what()));
    return false;
  }
  const std::lock_guard lock(mutex_);
  bool is_there = true;
  for (const auto& [owner, id] : gone) {
    const std::optional<Key> other = table_.find(owner, id);
    if (other == key) is_there = false;
    if (!other || other == key) continue;
    if (table_.known().at(*other).is_live) {
      table_.set_stored(*other, false);
    } else {
      table_.forget(*other);
    }
  }
  return is_there;
}

ChatResult ConversationPool::finish(Key key, MessagesAnswer answer, const ChatRequest& request) {
  std::vector<RecordedMessage> messages =
      recorded(request.messages, answer_message(answer.text, request.form.format.get()));
  const bool is_stored = keep(key, messages);
  const std::lock_guard lock(mutex_);
  table_.release(key, std::move(messages));
  table_.set_stored(key, is_stored);
  Held& held = held_.at(key);
  held.figures = figures_of(*held.chat, held.figures.id);
  return {.answer = std::move(answer), .conversation = held.figures};
}

/// Behind an error. A conversation that is forgotten comes back as it was stored, or is taken in anew.
void ConversationPool::give_up(Key key, bool is_forgotten) {
  const std::lock_guard lock(mutex_);
  table_.release(key);
  if (!is_forgotten) return;
  held_.erase(key);
  table_.drop(key);
}

/// REQUIRES: the caller holds the lock.
ConversationFigures ConversationPool::figures_of_known(Key key, const KnownConversation& one) const {
  if (const auto held = held_.find(key); held != held_.end()) return held->second.figures;
  return {.id = one.id,
          .strategy = one.strategy,
          .n_turns = std::ranges::count_if(one.messages,
                                           [](const RecordedMessage& m) { return m.message.role == "user"; }),
          .is_live = false};
}

std::vector<ConversationFigures> ConversationPool::list(const std::optional<std::string>& owner) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::uint64_t, ConversationFigures>> found;
  for (const auto& [key, one] : table_.known()) {
    if (!owner || one.owner == *owner) found.emplace_back(one.last_use, figures_of_known(key, one));
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<ConversationFigures> all;
  for (auto& [last_use, figures] : found) all.push_back(std::move(figures));
  return all;
}

std::optional<ConversationView> ConversationPool::view(const std::string& owner,
                                                       const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const std::optional<Key> key = table_.find(owner, id);
  if (!key) return std::nullopt;
  const KnownConversation& one = table_.known().at(*key);
  ConversationView view{.figures = figures_of_known(*key, one), .is_busy = one.is_claimed};
  if (view.is_busy || !view.figures.is_live) return view;
  const Conversation& chat = *held_.at(*key).chat;
  const KeepSet kept = chat.session().held();
  view.kept.assign(kept.ranges().begin(), kept.ranges().end());
  view.text = chat.kept_text();
  return view;
}

ConversationPool::Forgotten ConversationPool::forget(const std::string& owner, const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    const std::optional<Key> key = table_.find(owner, id);
    if (!key) return Forgotten::kUnknown;
    if (table_.known().at(*key).is_claimed) return Forgotten::kBusy;
    held_.erase(*key);
    table_.forget(*key);
  }
  if (!options_.store) return Forgotten::kYes;
  const std::lock_guard lock(store_mutex_);
  options_.store->remove(owner, id);
  return Forgotten::kYes;
}

}  // namespace kvevict::serving
