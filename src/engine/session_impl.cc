#include "engine/session_impl.h"

#include <algorithm>
#include <string>

#include "engine/key_turner_check.h"
#include "engine/log_probability.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"
#include "kvevict/simple_evict.h"

namespace kvevict {
namespace {

/// Tokens whose logits are computed at once where all are wanted: n_vocab f32 each, held twice.
constexpr int kScoredTokens = 64;

}  // namespace

Session::Impl::Impl(std::shared_ptr<const Model> model_in, const SessionOptions& options_in)
    : model(std::move(model_in)),
      options(options_in),
      record(options.positions, options.n_decode_slack, model->info().n_context_trained,
             model->info().n_layers, options.scores.has_value()) {
  options.n_ubatch = std::min(options.n_ubatch, options.n_batch);
}

Session::Impl::~Impl() {
  if (context) context->release_sequence(sequence);
}

void Session::Impl::ensure_cells(std::int64_t n_tokens_held) {
  const std::int64_t n_trained = model->info().n_context_trained;
  if (n_trained > 0 && n_tokens_held > n_trained) {
    throw Error(ErrorCode::kInvalidArgument, "the cache would hold " + std::to_string(n_tokens_held) +
                                                 " tokens, but " + model->info().name +
                                                 " was trained on contexts of " + std::to_string(n_trained) +
                                                 ": shorten the text or evict earlier");
  }
  if (!context) {
    context = std::make_shared<KvContext>(model, options, n_tokens_held);
    sequence = context->take_sequence();
    return;
  }
  const std::int64_t n_held = record.map().n_held();
  const std::int64_t n_others =
      is_alone() ? 0 : context->count_occupied() - n_held;  // shared cells count once
  if (context->n_cells() < n_tokens_held + n_others) context->resize(n_tokens_held + n_others);
}

bool Session::Impl::retain(const KeepPlan& keep) {
  if (!record.drops_tokens(keep)) return false;
  const bool moves_rows = record.shifts_when_dropping() || record.is_arranged_by(keep);
  if (moves_rows && !is_alone()) move_out(record.map().n_held());
  change([&] { return record.retain(keep); });
  return true;
}

void Session::Impl::change(const std::function<CellChanges()>& change_record) {
  SequenceRecord before = record;
  try {
    const CellChanges changes = change_record();
    const bool is_shifted = context && !context->waiting_shifts().empty();
    if (changes.arrangement && (is_shifted || turns_keys(*changes.arrangement))) require_key_turner();
    if (changes.arrangement) context->arrange(sequence, *changes.arrangement, key_turner.get());
    context->remove(sequence, changes.removed);
    context->shift(sequence, changes.shifts);
  } catch (const Error&) {
    record = std::move(before);
    throw;
  }
}

void Session::Impl::require_key_turner() {
  if (!key_turner) key_turner = checked_key_turner(model, options);
}

KeepPlan Session::Impl::plan(const Policy& policy, std::int64_t n_upcoming) {
  PolicyState& state = record.state_of(policy);
  const std::int64_t n_seen = record.map().n_seen();
  const bool is_arranged = policy.is_per_layer() || policy.score_request() || record.layers();
  // Where rows are arranged anew and positions stay, the newest token must stay in every layer.
  const bool needs_newest =
      is_arranged && !record.shifts_when_dropping() && policy.spec().config.recent_tokens <= n_upcoming;
  const std::int64_t n_planned = n_seen + (needs_newest ? 0 : n_upcoming);
  KeepPlan plan;
  if (policy.score_request() && context) {
    const TokenScores scores = context->scores()->collected(record.held());
    PolicyState with_scores = state;
    with_scores.scores = &scores;
    plan = policy.plan(n_planned, with_scores);
    with_scores.scores = nullptr;
    state = std::move(with_scores);
  } else {
    plan = policy.plan(n_planned, state);
  }
  if (needs_newest) plan.append(n_seen, n_seen + n_upcoming);
  return plan;
}

void Session::Impl::require_fitting(const Policy& policy) {
  if (const auto request = policy.score_request(); request && options.scores != request) {
    throw Error(ErrorCode::kInvalidArgument,
                policy.spec().name +
                    " chooses by attention, which this session does not record: make it with "
                    "options_for(policy, options)");
  }
  const bool turns_by_layer = policy.is_per_layer() || policy.score_request();
  if (turns_by_layer && options.positions != PositionMode::kAbsolute) require_key_turner();
  if (!policy.is_per_layer() && !policy.score_request()) return;
  if (!can_shift_positions(model->handle())) {
    throw Error(ErrorCode::kUnsupported,
                policy.spec().name + " arranges the rows of each layer anew, which the cache of " +
                    model->info().name +
                    " does not allow (sliding windows, or several positions for each token): choose a "
                    "strategy that goes by position and keeps the same tokens in all layers");
  }
}

void Session::Impl::pack_if_needed(std::int64_t n_upcoming, std::int64_t n_reserve) {
  if (!record.must_pack(n_upcoming)) return;
  if (!is_alone()) move_out(record.map().n_held() + n_reserve);
  change([&] { return record.pack(); });
}

void Session::Impl::move_out(std::int64_t n_cells) {
  auto own = std::make_shared<KvContext>(model, options, std::max(n_cells, record.map().n_held()));
  const llama_seq_id own_sequence = own->take_sequence();
  own->put(own_sequence, context->copy(sequence));
  own->shift(own_sequence, context->waiting_shifts());
  context->release_sequence(sequence);
  context = std::move(own);
  sequence = own_sequence;
}

void Session::Impl::throw_if_cancelled() const {
  if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed)) {
    throw Error(ErrorCode::kCancelled, "appending was cancelled");
  }
}

void Session::Impl::decode_batch(std::span<const Token> tokens, bool is_last,
                                 const OnLogProbability& on_log_probability) {
  const std::int64_t first_position = record.map().next_position();
  const std::int64_t first_index = record.map().n_seen();
  if (first_position + static_cast<std::int64_t>(tokens.size()) > kMaxTokens) {
    throw Error(ErrorCode::kInvalidArgument,
                "the stream has reached position " + std::to_string(first_position) +
                    ", the last that llama.cpp can count: use packed or automatic positions");
  }
  std::vector<BatchToken> batch;
  for (const Token token : tokens) {
    batch.push_back({token, first_position + static_cast<std::int64_t>(batch.size()), sequence,
                     bool{on_log_probability}});
  }
  batch.back().wants_logits = is_last || on_log_probability;
  context->decode(batch);
  record.written(static_cast<std::int64_t>(tokens.size()));
  if (on_log_probability) {
    if (!logits.empty()) on_log_probability(first_index, log_probability(logits, tokens.front()));
    for (std::size_t i = 1; i < tokens.size(); ++i) {
      on_log_probability(first_index + static_cast<std::int64_t>(i),
                         log_probability(context->logits(i - 1), tokens[i]));
    }
  }
  logits.clear();  // of an earlier token; empty until the end of what is appended
  if (!batch.back().wants_logits) return;
  const std::span<const float> row = context->logits(tokens.size() - 1);
  logits.assign(row.begin(), row.end());
}

void Session::Impl::decode(std::span<const Token> tokens, const OnLogProbability& on_log_probability) {
  // Again after what a bounded append evicted: a fork frees no cell that another session holds.
  ensure_cells(record.map().n_held() + static_cast<std::int64_t>(tokens.size()));
  if (on_log_probability) context->ensure_outputs(std::min(kScoredTokens, context->n_batch()));
  const int n_most = on_log_probability ? std::min(kScoredTokens, context->n_batch()) : context->n_batch();
  for (std::size_t from = 0; from < tokens.size();) {
    throw_if_cancelled();
    const std::size_t n = std::min(tokens.size() - from, static_cast<std::size_t>(n_most));
    pack_if_needed(static_cast<std::int64_t>(n), static_cast<std::int64_t>(tokens.size() - from));
    decode_batch(tokens.subspan(from, n), from + n == tokens.size(), on_log_probability);
    from += n;
  }
}

void Session::Impl::append_bounded(std::span<const Token> tokens, const Policy& policy,
                                   const OnLogProbability& on_log_probability) {
  PolicyState& state = record.stream_of(policy);
  const std::int64_t n_spare = std::max<std::int64_t>(options.n_chunk, record.slack(policy));
  const std::optional<std::int64_t> bound = bounded_tokens(policy, state, n_spare);
  const std::int64_t n_trained = model->info().n_context_trained;
  if (bound && n_trained > 0 && *bound > n_trained) {
    throw Error(ErrorCode::kInvalidArgument,
                "a budget of " + std::to_string(*bound - n_spare) + " tokens and a chunk of " +
                    std::to_string(n_spare) + " do not fit the context of " + std::to_string(n_trained) +
                    " that " + model->info().name + " was trained on: lower the budget or the chunk");
  }
  ensure_cells(bound ? *bound : record.map().n_held() + static_cast<std::int64_t>(tokens.size()));
  require_fitting(policy);
  for (std::size_t from = 0; from < tokens.size();) {
    const std::size_t n = std::min(tokens.size() - from, static_cast<std::size_t>(options.n_chunk));
    if (policy.score_request()) {
      retain(plan(policy, 0));
    } else {
      retain(keep_before_chunk(policy, state, record.held(), record.map().n_seen()));
    }
    pack_if_needed(static_cast<std::int64_t>(n), n_spare);
    decode(tokens.subspan(from, n), on_log_probability);
    from += n;
  }
}

std::int64_t Session::Impl::cells_needed(const Policy& policy, const EvictOptions& evict) const {
  const std::int64_t n_now = record.map().n_held() + evict.n_upcoming;
  const std::int64_t n_unbounded = n_now + evict.n_reserve;
  const std::optional<std::int64_t> budget = policy.budget_tokens(record.policy_state());
  const std::int64_t n_predecessors = policy.spec().config.recent_tokens == 1 ? 1 : 0;  // see Session::evict
  return budget ? std::max(n_now, std::min(n_unbounded, *budget + record.slack(policy) + n_predecessors))
                : n_unbounded;
}

}  // namespace kvevict
