#include "serving/conversation_pool.h"

#include <algorithm>
#include <utility>

#include "engine/long_list.h"
#include "kvevict/export.h"
#include "kvevict/grammar.h"
#include "runtime/answer_turn.h"
#include "runtime/generate_options.h"
#include "serving/random_name.h"

namespace kvevict::serving {
namespace {

std::int64_t n_evicted_of(const SessionStats& stats) {
  return stats.n_tokens_seen - stats.n_tokens_held;
}

ConversationFigures figures_of(const Conversation& chat, std::string id) {
  const SessionStats stats = chat.stats();
  return {.id = std::move(id),
          .strategy = to_string(chat.session().policy().spec()),
          .n_turns = chat.n_turns(),
          .n_kept = stats.n_tokens_held,
          .n_evicted = n_evicted_of(stats),
          .n_cells = stats.n_cells,
          .kv_bytes = stats.kv_bytes};
}

std::vector<RecordedMessage> recorded(std::vector<ChatMessage> messages, ChatMessage answer) {
  std::vector<RecordedMessage> all;
  all.reserve(messages.size() + 1);
  for (ChatMessage& message : messages) all.push_back({std::move(message)});
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

/// An answer of a conversation that it has claimed.
class KVEVICT_PRIVATE ConversationPool::Answer final : public SessionAnswer {
 public:
  Answer(ConversationPool& pool, const Claim& claim, Conversation& chat, ChatRequest request, OnText on_text)
      : pool_(pool),
        claim_(claim),
        request_(std::move(request)),
        turn_(chat, request_.messages, request_.form, std::move(on_text)),
        n_evicted_before_(n_evicted_of(chat.stats())) {}
  ~Answer() override {
    if (is_finished_) return;
    turn_.close();
    pool_.give_up(claim_, claim_.is_new || is_spoiled_);
  }

  [[nodiscard]] std::int64_t n_prompt_left() const override { return turn_.n_to_take_in(); }
  void take_in() override {
    noting_errors([&] { turn_.take_in(); });
  }
  [[nodiscard]] bool draw() override {
    noting_errors([&] { token_ = turn_.draw(); });
    return token_.has_value();
  }
  [[nodiscard]] std::int64_t n_drawn() const override { return std::ssize(turn_.made()); }
  [[nodiscard]] ChatResult finish() override {
    ChatResult result;
    noting_errors([&] { result = pool_.finish(claim_, turn_.finish(), std::move(request_)); });
    result.n_evicted = result.conversation.n_evicted - n_evicted_before_;
    is_finished_ = true;
    return result;
  }

  [[nodiscard]] Session* pooled_session() override { return turn_.pooled_session(); }
  [[nodiscard]] std::span<const Token> prompt() const override { return turn_.prompt(); }
  [[nodiscard]] const SessionTokens& token() const override { return *token_; }
  void note(const Error& error) override { is_spoiled_ = is_spoiled_ || !is_about_the_request(error.code()); }

 private:
  template <typename Work>
  void noting_errors(const Work& work) {
    try {
      work();
    } catch (const Error& error) {
      note(error);
      throw;
    } catch (...) {
      is_spoiled_ = true;
      throw;
    }
  }

  ConversationPool& pool_;
  Claim claim_;
  ChatRequest request_;
  AnswerTurn turn_;
  std::int64_t n_evicted_before_;  // once the conversation was set back to what the messages have of it
  std::optional<SessionTokens> token_{};
  bool is_finished_ = false;
  bool is_spoiled_ = false;  // whether the conversation may not be as it was
};

ConversationPool::ConversationPool(PoolOptions options)
    : options_(std::move(options)),
      places_(options_.model, options_.places, options_.n_live),
      table_(options_.n_live, [] { return "c-" + random_name(); }) {
  if (options_.store) {
    for (StoredConversation& one : options_.store->all()) {
      const ConversationName name{one.owner, one.id};
      learn(name, std::move(one));
    }
  }
  try {
    template_.emplace(*options_.model, options_.prompt_template);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    template_error_ = error;
  }
}

ConversationPool::~ConversationPool() = default;

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

/// A request with the ends of its list alone, which stand for all of it where nothing is decoded: one turn
/// costs no more than another. A middle that the template refuses is refused when the answer begins.
ChatRequest ConversationPool::ends_of(const ChatRequest& request) const {
  return complete({.strategy = request.strategy, .messages = shortened(request.messages)});
}

std::string ConversationPool::prompt(const std::vector<ChatMessage>& messages) const {
  return text_of(usable_template().render(complete({.messages = messages}).messages));
}

std::shared_ptr<const AnswerFormat> ConversationPool::format_of(const ChatRequest& request,
                                                                const AnswerFormatOptions& options) const {
  return usable_template().answer_format(ends_of(request).messages, options);
}

void ConversationPool::check(const ChatRequest& request) const {
  if (request.text) {
    places_.require_place(run_of_text(request));
    return;
  }
  const ChatRequest ends = ends_of(request);
  (void)usable_template().render(ends.messages);
  if (!request.strategy.empty()) places_.require_place(options_.run_for(ends.strategy, ""));
  if (const std::string grammar = generate_options(request.form).grammar; !grammar.empty())
    require_grammar(*options_.model, grammar);
}

/// The state of a conversation that is no longer live. REQUIRES: the caller holds the lock.
void ConversationPool::let_go(Key key) {
  if (auto held = held_.extract(key)) gone_.push_back(std::move(held.mapped().chat));
}

/// The conversation of `request`; those that had to go for it, and others that went, are gone when it
/// returns.
std::optional<ConversationTable::Claim> ConversationPool::claim_known(const ChatRequest& request,
                                                                      const std::set<Key>& elsewhere) {
  std::vector<std::unique_ptr<Conversation>> gone;
  const std::lock_guard lock(mutex_);
  const auto claim = table_.claim(request, elsewhere);
  if (claim && claim->dropped) let_go(*claim->dropped);
  gone.swap(gone_);
  return claim;
}

std::unique_ptr<RunningAnswer> ConversationPool::begin(const ChatRequest& request, OnText on_text) {
  if (request.text) return begin_text(request, std::move(on_text));
  ChatRequest whole = complete(request);
  const auto claim = this->claim(whole);
  if (!claim) return nullptr;
  try {
    Conversation& chat = make_room_for(*claim, whole);
    return std::make_unique<Answer>(*this, *claim, chat, std::move(whole), std::move(on_text));
  } catch (const Error& error) {
    give_up(*claim, claim->is_new || !is_about_the_request(error.code()));
    throw;
  } catch (...) {
    give_up(*claim, true);
    throw;
  }
}

Conversation& ConversationPool::make_room_for(const Claim& claim, const ChatRequest& request) {
  if (!claim.is_new && !claim.is_resting) {
    const std::lock_guard lock(mutex_);
    return *held_.at(claim.key).chat;
  }
  const ModelRun run = options_.run_for(request.strategy, system_of(request));
  const ConversationOptions options{.prompt_template = options_.prompt_template,
                                    .keep_reasoning = options_.keep_reasoning,
                                    .snapshot_bytes = options_.copy_bytes};
  std::unique_ptr<Conversation> chat = claim.is_resting ? load(claim.key, run, options) : nullptr;
  if (!chat) chat = places_.begin(run, options);
  Conversation& made = *chat;
  const std::lock_guard lock(mutex_);
  held_[claim.key] = {.chat = std::move(chat), .figures = figures_of(made, table_.known().at(claim.key).id)};
  return made;
}

ChatResult ConversationPool::finish(const Claim& claim, MessagesAnswer answer, ChatRequest request) {
  std::vector<RecordedMessage> messages =
      recorded(std::move(request.messages), answer_message(answer.text, request.form.format.get()));
  const bool is_stored = keep(claim, messages);
  const std::lock_guard lock(mutex_);
  table_.release(claim.key, std::move(messages));
  table_.set_stored(claim.key, is_stored);
  Held& held = held_.at(claim.key);
  held.figures = figures_of(*held.chat, held.figures.id);
  return {.answer = std::move(answer), .conversation = held.figures};
}

/// Behind an error. A conversation that is forgotten comes back as it was stored, or is taken in anew.
void ConversationPool::give_up(const Claim& claim, bool is_forgotten) {
  give_back_lease(claim);
  const std::lock_guard lock(mutex_);
  table_.release(claim.key);
  if (!is_forgotten) return;
  let_go(claim.key);
  table_.drop(claim.key);
}

/// REQUIRES: the caller holds the lock.
ConversationFigures ConversationPool::figures_of_known(Key key, const KnownConversation& one) const {
  if (const auto held = held_.find(key); held != held_.end()) return held->second.figures;
  return {.id = one.id, .strategy = one.strategy, .n_turns = one.n_turns, .is_live = false};
}

std::vector<ConversationFigures> ConversationPool::list(const std::optional<std::string>& owner) {
  refresh();
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

std::optional<ConversationView> ConversationPool::view(const std::string& owner, const std::string& id) {
  refresh();
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
  refresh();
  {
    const std::lock_guard lock(mutex_);
    const std::optional<Key> key = table_.find(owner, id);
    if (!key) return Forgotten::kUnknown;
    if (table_.known().at(*key).is_claimed) return Forgotten::kBusy;
    let_go(*key);
    table_.forget(*key);
  }
  return remove_stored({owner, id}) ? Forgotten::kYes : Forgotten::kBusy;
}

}  // namespace kvevict::serving
