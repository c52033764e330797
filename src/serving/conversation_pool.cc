#include "serving/conversation_pool.h"

#include <algorithm>
#include <random>
#include <utility>

#include "kvevict/grammar.h"

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

std::vector<RecordedMessage> recorded(const std::vector<ChatMessage>& messages, const std::string& answer) {
  std::vector<RecordedMessage> all;
  all.reserve(messages.size() + 1);
  for (const ChatMessage& message : messages) all.push_back({message});
  all.push_back({{"assistant", answer}});
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

void ConversationPool::check(const ChatRequest& request) const {
  const ChatRequest whole = complete(request);
  (void)usable_template().render(whole.messages);
  if (!request.strategy.empty()) (void)options_.run_for(whole.strategy, "");
  if (!request.form.grammar.empty()) require_grammar(*options_.model, request.form.grammar);
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

Conversation& ConversationPool::make_room_for(const ConversationTable::Claim& claim,
                                              const ChatRequest& request) {
  if (!claim.is_new) {
    const std::lock_guard lock(mutex_);
    return *held_.at(claim.key).chat;
  }
  ModelRun run = options_.run_for(request.strategy, system_of(request));
  run.options.cancel = &is_cancelled_;
  ConversationOptions options{.prompt_template = options_.prompt_template,
                              .keep_reasoning = options_.keep_reasoning,
                              .session = std::move(run.options)};
  auto chat = std::make_unique<Conversation>(options_.model, std::move(run.policy), std::move(options));
  Conversation& made = *chat;
  const std::lock_guard lock(mutex_);
  held_[claim.key] = {.chat = std::move(chat), .figures = figures_of(made, table_.live().at(claim.key).id)};
  return made;
}

ChatResult ConversationPool::finish(Key key, MessagesAnswer answer, const ChatRequest& request) {
  std::vector<RecordedMessage> messages = recorded(request.messages, answer.text);
  const std::lock_guard lock(mutex_);
  table_.release(key, std::move(messages));
  Held& held = held_.at(key);
  held.figures = figures_of(*held.chat, held.figures.id);
  return {.answer = std::move(answer), .conversation = held.figures};
}

/// Behind an error. A conversation that is forgotten is taken in anew when it comes again.
void ConversationPool::give_up(Key key, bool is_forgotten) {
  const std::lock_guard lock(mutex_);
  if (is_forgotten) {
    held_.erase(key);
    table_.forget(key);
  } else {
    table_.release(key);
  }
}

std::vector<ConversationFigures> ConversationPool::list(const std::optional<std::string>& owner) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::uint64_t, ConversationFigures>> found;
  for (const auto& [key, held] : held_) {
    const LiveConversation& one = table_.live().at(key);
    if (!owner || one.owner == *owner) found.emplace_back(one.last_use, held.figures);
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
  if (table_.live().at(*key).is_claimed) {
    const auto held = held_.find(*key);
    return ConversationView{
        .figures = held == held_.end() ? ConversationFigures{.id = id} : held->second.figures,
        .is_busy = true};
  }
  const Held& held = held_.at(*key);
  const KeepSet kept = held.chat->session().held();
  return ConversationView{.figures = held.figures,
                          .kept = {kept.ranges().begin(), kept.ranges().end()},
                          .text = held.chat->kept_text()};
}

ConversationPool::Forgotten ConversationPool::forget(const std::string& owner, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const std::optional<Key> key = table_.find(owner, id);
  if (!key) return Forgotten::kUnknown;
  if (table_.live().at(*key).is_claimed) return Forgotten::kBusy;
  held_.erase(*key);
  table_.forget(*key);
  return Forgotten::kYes;
}

}  // namespace kvevict::serving
