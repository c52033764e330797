// A turn of a conversation: what it adds to what was seen, and going back if it contradicts that.
#include <algorithm>
#include <utility>

#include "base/scope_guard.h"
#include "kvevict/error.h"
#include "runtime/answer_turn.h"
#include "runtime/conversation_impl.h"
#include "runtime/token_match.h"

namespace kvevict {
namespace {

std::vector<RecordedMessage> recorded(std::span<const ChatMessage> list) {
  std::vector<RecordedMessage> messages;
  for (const ChatMessage& message : list) messages.push_back({message});
  return messages;
}

/// Whether every layer holds the tokens from `n_before` up to `n_tokens`.
bool holds_first(const Session& session, std::int64_t n_before, std::int64_t n_tokens) {
  const KeepPlan held = session.held_by_layer();
  const KeepSet wanted = KeepSet::from_ranges({{n_before, n_tokens}});
  return std::ranges::all_of(held.distinct_sets(),
                             [&](const KeepSet& set) { return wanted.subtract(set).empty(); });
}

}  // namespace

void NextTurn::read_anew(const Model& model, std::size_t n_tokens) {
  const TokenMatch match = match_tokens(model, std::span(tokens).first(n_tokens), given);
  if (match.n_seen < n_tokens) return;  // it ends within a token
  std::vector<Token> anew(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n_tokens));
  anew.insert(anew.end(), given.begin() + static_cast<std::ptrdiff_t>(match.n_given), given.end());
  if (anew == tokens) return;
  tokens = std::move(anew);
  for (RecordedMessage& one : messages) {
    if (one.n_tokens && *one.n_tokens > static_cast<std::int64_t>(n_tokens)) one.n_tokens.reset();
  }
}

bool Conversation::Impl::goes_by_list() const {
  const bool is_known = !messages.empty() || is_at_beginning();
  return is_known && (takes_lists || (chat_template.rewrites_answers() && !options.keep_reasoning));
}

std::vector<Token> Conversation::Impl::all_tokens() const {
  std::vector<Token> all = seen;
  all.insert(all.end(), waiting.begin(), waiting.end());
  return all;
}

/// `list` as tokens. If thoughts are kept, then behind the last answer that it has from this conversation,
/// which stays as the model gave it.
std::vector<Token> Conversation::Impl::tokens_of(std::span<const ChatMessage> list) const {
  if (!options.keep_reasoning) return chat_template.whole(list);
  for (std::size_t n = std::min(count_same(list, messages), list.size() - 1); n > 0; --n) {
    if (!messages[n - 1].n_tokens) continue;
    const auto added = chat_template.behind_answer(list, n);
    if (!added) continue;
    std::vector<Token> tokens = all_tokens();
    tokens.resize(static_cast<std::size_t>(*messages[n - 1].n_tokens));
    tokens.insert(tokens.end(), added->begin(), added->end());
    return tokens;
  }
  return chat_template.whole(list);
}

NextTurn Conversation::Impl::turn_of(std::string_view message, std::int64_t n_new_tokens) const {
  const bool is_first = is_at_beginning();
  NextTurn turn{.tokens = {}, .messages = messages, .n_turns = n_turns + 1};
  if (is_first) turn.messages = recorded(chat_template.opening());
  if (is_first || !messages.empty()) turn.messages.push_back({{"user", std::string(message)}});
  if (goes_by_list()) return turn_of(messages_of(turn.messages), n_new_tokens);
  turn.tokens = all_tokens();
  turn.n_same = turn.tokens.size();
  if (is_first) {
    turn.tokens = chat_template.first_turn(message);  // the document at its beginning
    return turn;
  }
  const std::vector<Token> added = chat_template.next_turn(message);
  turn.tokens.insert(turn.tokens.end(), added.begin(), added.end());
  return turn;
}

NextTurn Conversation::Impl::turn_of(std::span<const ChatMessage> list, std::int64_t n_new_tokens) const {
  const std::vector<Token> before = all_tokens();
  std::vector<Token> given = tokens_of(list);
  const TokenMatch match = match_tokens(*model, before, given);
  NextTurn turn{.tokens = before, .n_same = match.n_seen, .messages = recorded(list)};
  if (given.empty())
    throw Error(ErrorCode::kUnsupported, "the chat template makes no text of these messages",
                "chat_template");
  turn.tokens.resize(match.n_seen);
  turn.tokens.insert(turn.tokens.end(), given.begin() + static_cast<std::ptrdiff_t>(match.n_given),
                     given.end());
  turn.given = std::move(given);
  const std::size_t n_known = count_same(list, messages);
  for (std::size_t i = 0; i < n_known; ++i) {
    if (messages[i].n_tokens.value_or(0) <= static_cast<std::int64_t>(match.n_seen))
      turn.messages[i].n_tokens = messages[i].n_tokens;
  }
  turn.n_turns = std::ranges::count(list, "user", &ChatMessage::role);
  if (wants_snapshot(turn.tokens.size(), n_new_tokens))
    turn.n_unsettled = chat_template.count_unsettled(list);
  return turn;
}

SessionStats Conversation::Impl::stats() const {
  SessionStats stats = session.stats();
  stats.n_tokens_held_peak = std::max(stats.n_tokens_held_peak, past.n_tokens_held_peak);
  stats.kv_bytes_peak = std::max(stats.kv_bytes_peak, past.kv_bytes_peak);
  stats.n_evictions += past.n_evictions;
  stats.n_packs += past.n_packs;
  stats.n_decode_calls += past.n_decode_calls;
  stats.n_decoded_tokens += past.n_decoded_tokens;
  return stats;
}

void Conversation::Impl::go_back(std::size_t n_tokens, std::size_t n_tokens_of_a_copy) {
  const SessionStats before = stats();
  if (!is_trimmed(static_cast<std::int64_t>(n_tokens)) &&
      !is_restored(static_cast<std::int64_t>(n_tokens_of_a_copy)))
    go_to_beginning();
  const SessionStats after = session.stats();
  past.n_tokens_held_peak = before.n_tokens_held_peak;
  past.kv_bytes_peak = before.kv_bytes_peak;
  past.n_evictions = before.n_evictions - after.n_evictions;
  past.n_packs = before.n_packs - after.n_packs;
  past.n_decode_calls = before.n_decode_calls - after.n_decode_calls;
  past.n_decoded_tokens = before.n_decoded_tokens - after.n_decoded_tokens;
  const std::int64_t n_left = after.n_tokens_seen;
  seen.resize(static_cast<std::size_t>(n_left));
  waiting.clear();
  snapshots.forget_behind(n_left);
}

void Conversation::Impl::go_to_beginning() {
  if (!document) {
    session.clear();
  } else if (document_snapshot) {
    session = Session::restore(model, policy, session.options(), *document_snapshot);
  } else {
    session.trim(n_document());  // which no turn ever drops a token of
  }
}

/// Only where nothing but a part of the document was evicted, so that the session is as one that never went
/// further.
bool Conversation::Impl::is_trimmed(std::int64_t n_tokens) {
  const bool has_attention = session.policy().score_request().has_value();  // of the tokens that go, too
  if (n_tokens <= n_document() || !can_trim || has_attention) return false;
  if (!holds_first(session, n_document(), n_tokens)) return false;
  try {
    session.trim(n_tokens);
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnsupported) can_trim = false;
    return false;
  }
}

bool Conversation::Impl::is_restored(std::int64_t n_tokens) {
  const SessionSnapshot* const snapshot = snapshots.latest(n_tokens);
  if (snapshot == nullptr) return false;
  try {
    replace_session(*snapshot);
    return true;
  } catch (const Error&) {
    return false;
  }
}

void Conversation::Impl::replace_session(const SessionSnapshot& snapshot) {
  if (document) {  // which would be lost with the cells
    session = Session::restore(model, policy, session.options(), snapshot);
    return;
  }
  session = Session(model, policy, session.options());
  const OnFailure undo([&] { session = open_session(); });
  session = options.pool ? options.pool->restore(policy, snapshot)
                         : Session::restore(model, policy, session.options(), snapshot);
}

/// An answer's beginning is a place to go back to if the session cannot be trimmed to it later.
bool Conversation::Impl::wants_snapshot(std::size_t n_tokens, std::int64_t n_new_tokens) const {
  if (!snapshots.are_wanted() || session.policy().score_request()) return false;
  if (!can_trim || model->info().n_window > 0)
    return true;  // a window reaches back no further than it is long
  const std::optional<std::int64_t> budget =
      session.policy().budget_tokens(PolicyState{.n_layers = model->info().n_cache_layers()});
  return budget && static_cast<std::int64_t>(n_tokens) + n_new_tokens > *budget;
}

void Conversation::Impl::remember(NextTurn&& turn, bool is_set_back) {
  const auto n_done = static_cast<std::size_t>(session.stats().n_tokens_seen);
  const auto done = static_cast<std::ptrdiff_t>(n_done);
  if (is_set_back || n_done > turn.n_same || n_done == turn.tokens.size()) {
    waiting.assign(turn.tokens.begin() + done, turn.tokens.end());
    turn.tokens.resize(n_done);
    seen = std::move(turn.tokens);
    messages = std::move(turn.messages);
    n_turns = turn.n_turns;
    return;
  }
  const auto written = waiting.begin() + (done - static_cast<std::ptrdiff_t>(seen.size()));
  seen.insert(seen.end(), waiting.begin(), written);
  waiting.erase(waiting.begin(), written);
}

MessagesAnswer Conversation::Impl::go_on(NextTurn turn, const AnswerOptions& form, const OnText& on_text) {
  AnswerTurn answering(*this, std::move(turn), form, on_text);
  while (answering.n_to_take_in() > 0) answering.take_in();
  try {
    while (const std::optional<SessionTokens> token = answering.draw()) Session::append_each({&*token, 1});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCancelled) throw;
  }
  return answering.finish();
}

}  // namespace kvevict
