// Tokens of several sessions in one batch.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "engine/session_impl.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

void require_sound(std::span<const SessionTokens> all) {
  std::set<const Session*> sessions;
  for (const SessionTokens& tokens : all) {
    if (tokens.session == nullptr)
      throw Error(ErrorCode::kInvalidArgument, "a session of a batch is null: tokens need a session");
    if (!sessions.insert(tokens.session).second)
      throw Error(ErrorCode::kInvalidArgument, "a session is named twice: each goes on once in a batch");
  }
}

void require_at_most(std::int64_t n_tokens, int n_most, const char* option) {
  if (n_tokens <= n_most) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::to_string(n_tokens) + " tokens were given for one session of a batch: " +
                  std::to_string(n_most) + " or fewer are decoded at once",
              option);
}

}  // namespace

/// Tokens of sessions that share a context, decoded in as few batches as hold them; a session's tokens are
/// never in two.
struct KVEVICT_PRIVATE Session::Batches {
  using Group = std::vector<const SessionTokens*>;

  static Impl& impl(const SessionTokens& tokens) { return *tokens.session->impl_; }

  /// Refuses what cannot be appended, before anything is changed.
  static void require_room(const SessionTokens& tokens) {
    Impl& session = impl(tokens);
    const std::int64_t n = std::ssize(tokens.tokens);
    const bool is_bounded = tokens.prefill == PrefillMode::kBounded;
    session.throw_if_cancelled();
    require_at_most(n, session.options.n_batch, "batch");
    if (is_bounded) require_at_most(n, session.options.n_chunk, "chunk");
    session.require_positions(n);
    session.require_countable(n);
    session.ensure_cells(is_bounded ? session.cells_for_bounded(n, {}) : session.record.map().n_held() + n);
    require_at_most(n, session.context->n_batch(), "batch");
  }

  /// Evicts and packs, as it is done before a session's own append.
  static void prepare(const SessionTokens& tokens) {
    const std::int64_t n = std::ssize(tokens.tokens);
    if (tokens.prefill == PrefillMode::kBounded) {
      impl(tokens).begin_chunk(n);
    } else {
      impl(tokens).pack_if_needed(n, n);
    }
  }

  /// Makes room in a context whose sessions share the cells.
  static void ensure_free(KvContext& context, const Group& group) {
    if (context.has_streams()) return;
    std::int64_t n_needed = 0;
    for (const SessionTokens* const tokens : group) n_needed += std::ssize(tokens->tokens);
    const std::int64_t n_free = context.n_cells() - context.count_occupied(impl(*group.front()).sequence);
    if (n_free < n_needed) context.resize(context.n_cells() + n_needed - n_free);
  }

  static void decode(KvContext& context, std::span<const SessionTokens* const> part) {
    std::vector<BatchToken> batch;
    std::vector<std::size_t> last;  // place of each session's last token
    for (const SessionTokens* const tokens : part) {
      Impl& session = impl(*tokens);
      std::int64_t position = session.record.map().next_position();
      for (const Token token : tokens->tokens) batch.push_back({token, position++, session.sequence, false});
      batch.back().wants_logits = true;
      last.push_back(batch.size() - 1);
      // So that nothing fails once the tokens are decoded.
      session.record.prepare_written();
      session.logits.reserve(static_cast<std::size_t>(session.model->info().n_vocab));
    }
    context.decode(batch);
    for (std::size_t i = 0; i < part.size(); ++i) {
      Impl& session = impl(*part[i]);
      const std::span<const float> row = context.logits(last[i]);
      session.record.written(std::ssize(part[i]->tokens));
      session.logits.assign(row.begin(), row.end());
    }
  }

  static void decode_all(KvContext& context, Group group) {
    // llama.cpp computes streams together whose numbers follow each other.
    std::sort(group.begin(), group.end(), [](const SessionTokens* a, const SessionTokens* b) {
      return impl(*a).sequence < impl(*b).sequence;
    });
    ensure_free(context, group);
    for (std::size_t from = 0; from < group.size();) {
      std::int64_t n = 0;
      std::size_t to = from;
      while (to < group.size() && n + std::ssize(group[to]->tokens) <= context.n_batch())
        n += std::ssize(group[to++]->tokens);
      decode(context, std::span(group).subspan(from, to - from));
      from = to;
    }
  }
};

void Session::append_each(std::span<const SessionTokens> all) {
  require_sound(all);
  Batches::Group given;
  for (const SessionTokens& tokens : all) {
    if (!tokens.tokens.empty()) given.push_back(&tokens);
  }
  for (const SessionTokens* const tokens : given) Batches::require_room(*tokens);
  for (const SessionTokens* const tokens : given) Batches::prepare(*tokens);
  std::map<KvContext*, Batches::Group> by_context;
  for (const SessionTokens* const tokens : given)
    by_context[Batches::impl(*tokens).context.get()].push_back(tokens);
  for (const auto& [context, group] : by_context) Batches::decode_all(*context, group);
}

void Session::append_each(std::span<Session* const> sessions, std::span<const Token> tokens) {
  if (sessions.size() != tokens.size()) {
    throw Error(ErrorCode::kInvalidArgument, std::to_string(tokens.size()) + " tokens were given for " +
                                                 std::to_string(sessions.size()) +
                                                 " sessions: one for each is needed");
  }
  std::vector<SessionTokens> all;
  for (std::size_t i = 0; i < sessions.size(); ++i) all.push_back({sessions[i], tokens.subspan(i, 1)});
  append_each(all);
}

}  // namespace kvevict
