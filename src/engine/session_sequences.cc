// Several sessions in one context: forks, batches over them, and going back.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "engine/session_impl.h"
#include "kvevict/error.h"

namespace kvevict {

Session Session::fork(std::shared_ptr<const Policy> policy) {
  const bool is_rebound = policy != nullptr && policy != impl_->record.shared_policy();
  if (is_rebound && policy->score_request()) impl_->require_recorded(*policy);
  SessionOptions options = impl_->options;
  options.n_recorded_queries = 0;
  if (is_rebound && policy->score_request()) options.n_sequences = 1;  // recorded attention is of one alone
  if (is_rebound) options.positions = impl_->asked_positions;
  if (is_rebound) options = resolved_options(*impl_->model, *policy, options);
  auto twin = std::make_unique<Impl>(impl_->model, impl_->record.shared_policy(), options);
  twin->record = impl_->record;
  twin->asked_positions = impl_->asked_positions;
  if (is_rebound) {
    twin->record.rebind(std::move(policy), *options.positions);
    twin->require_rotations();
  }
  twin->logits = impl_->logits;
  if (impl_->key_rotator) twin->key_rotator = std::make_unique<KeyRotator>(*impl_->key_rotator);
  if (impl_->context) {
    twin->sequence = impl_->context->take_sequence();
    twin->context = impl_->context;
    twin->context->share(impl_->sequence, twin->sequence);
    if (twin->policy().score_request()) twin->move_out(twin->record.map().n_held());
  }
  return Session(std::move(twin));
}

void Session::detach(std::int64_t n_reserve) {
  if (impl_->context && !impl_->is_alone()) impl_->move_out(impl_->record.map().n_held() + n_reserve);
}

void Session::trim(std::int64_t n_tokens) {
  if (n_tokens == impl_->record.map().n_seen()) return;
  if (impl_->model->info().has_state && n_tokens != 0) {
    throw Error(ErrorCode::kUnsupported,
                impl_->model->info().name +
                    " keeps a state that cannot go back to an earlier token: go back to a snapshot that was "
                    "taken there, or clear the session and append the tokens again");
  }
  impl_->require_windows(n_tokens);
  impl_->change([&] { return impl_->record.trim(n_tokens); });
  impl_->logits.clear();
}

void Session::clear() {
  impl_->record.clear();
  impl_->logits.clear();
  if (!impl_->context) return;
  impl_->context->release_sequence(impl_->sequence);
  impl_->sequence = impl_->context->take_sequence();
}

namespace {

struct Line {
  std::size_t session = 0;  // its place in the caller's list
  Token token = 0;
};

void require_distinct(std::span<Session* const> sessions, std::span<const Token> tokens) {
  if (sessions.size() != tokens.size()) {
    throw Error(ErrorCode::kInvalidArgument, std::to_string(tokens.size()) + " tokens were given for " +
                                                 std::to_string(sessions.size()) +
                                                 " sessions: one for each is needed");
  }
  if (std::set<Session*>(sessions.begin(), sessions.end()).size() != sessions.size()) {
    throw Error(ErrorCode::kInvalidArgument, "a session is named twice: each takes one token of a batch");
  }
}

}  // namespace

void Session::append_each(std::span<Session* const> sessions, std::span<const Token> tokens) {
  require_distinct(sessions, tokens);
  for (Session* const session : sessions) {
    session->impl_->throw_if_cancelled();
    session->impl_->require_positions(1);
    session->reserve(1);
    session->impl_->pack_if_needed(1, 1);
  }
  std::map<KvContext*, std::vector<Line>> by_context;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    by_context[sessions[i]->impl_->context.get()].push_back({i, tokens[i]});
  }
  for (const auto& [context, lines] : by_context) {
    const std::int64_t n_free = context->n_cells() - context->count_occupied();
    if (n_free < static_cast<std::int64_t>(lines.size())) {
      context->resize(context->n_cells() + static_cast<std::int64_t>(lines.size()) - n_free);
    }
    const auto n_most = static_cast<std::size_t>(context->n_batch());
    for (std::size_t from = 0; from < lines.size(); from += n_most) {
      const auto part = std::span(lines).subspan(from, std::min(n_most, lines.size() - from));
      std::vector<BatchToken> batch;
      for (const Line& line : part) {
        const Impl& impl = *sessions[line.session]->impl_;
        batch.push_back({line.token, impl.record.map().next_position(), impl.sequence, true});
      }
      for (const Line& line : part) {  // so that nothing fails once the tokens are decoded
        Impl& impl = *sessions[line.session]->impl_;
        impl.record.prepare_written();
        impl.logits.reserve(static_cast<std::size_t>(impl.model->info().n_vocab));
      }
      context->decode(batch);
      for (std::size_t i = 0; i < part.size(); ++i) {
        Impl& impl = *sessions[part[i].session]->impl_;
        const std::span<const float> row = context->logits(i);
        impl.record.written(1);
        impl.logits.assign(row.begin(), row.end());
      }
    }
  }
}

}  // namespace kvevict
