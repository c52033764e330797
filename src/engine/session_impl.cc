#include "engine/session_impl.h"

#include <algorithm>
#include <string>

#include "base/scope_guard.h"
#include "engine/cell_needs.h"
#include "engine/key_rotator_check.h"
#include "engine/kv_size.h"
#include "engine/log_probability.h"
#include "engine/model_traits.h"
#include "engine/session_keys.h"
#include "engine/trained_context.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"
#include "kvevict/simple_evict.h"

namespace kvevict {
namespace {

/// Tokens whose logits are computed at once if all are wanted: n_vocab f32 each, held twice.
constexpr int kScoredTokens = 64;

}  // namespace

Session::Impl::Impl(std::shared_ptr<const Model> model_in, std::shared_ptr<const Policy> policy,
                    const SessionOptions& options_in)
    : model(std::move(model_in)),
      options(options_in),
      record(policy, {.positions = *options.positions,
                      .n_slack = options.n_decode_slack,
                      .n_context_trained = context_limit(*model),
                      .n_layers = model->info().n_cache_layers(),
                      .keeps_slots = policy->score_request().has_value(),
                      .moves_by_rows = moves_by_rows(model->handle()),
                      .keeps_newest = model->info().has_state,
                      .has_distances = has_distances_in_attention(model->handle())}) {}

Session::Impl::~Impl() {
  if (context) context->release_sequence(sequence);
}

void Session::Impl::ensure_cells(std::int64_t n_tokens_held) {
  const std::int64_t n_trained = context_limit(*model);
  if (n_trained > 0 && n_tokens_held > n_trained) {
    throw Error(ErrorCode::kInvalidArgument, "the cache would hold " + std::to_string(n_tokens_held) +
                                                 " tokens, but " + model->info().name +
                                                 " was trained on contexts of " + std::to_string(n_trained) +
                                                 ": shorten the text or evict earlier");
  }
  if (!context) {
    context = std::make_shared<KvContext>(model, options, n_tokens_held, recorded_attention());
    sequence = context->take_sequence();
    return;
  }
  if (model->info().cache_layers.empty()) return;  // a state of fixed size is there already
  if (is_pooled()) {
    if (n_tokens_held <= context->n_cells()) return;
    throw Error(ErrorCode::kInvalidArgument,
                "this session has room for " + std::to_string(context->n_cells()) +
                    " tokens in its pool and would hold " + std::to_string(n_tokens_held) +
                    ": evict or append less, or make the pool with more cells");
  }
  const std::int64_t n_held = record.map().n_held();
  const std::int64_t n_others =
      has_own_cells() ? 0 : context->count_occupied(sequence) - n_held;  // shared cells count once
  if (context->n_cells() < n_tokens_held + n_others) context->resize(n_tokens_held + n_others);
}

bool Session::Impl::must_evict(std::int64_t n_upcoming) const {
  if (!context) return false;
  if (record.outgrows(n_upcoming)) return true;
  return is_pooled() && !model->info().cache_layers.empty() &&
         record.map().n_held() + n_upcoming > context->n_cells();
}

bool Session::Impl::retain(const KeepPlan& keep) {
  if (!record.drops_tokens(keep)) return false;
  const bool moves_rows = record.shifts_when_dropping() || record.is_arranged_by(keep);
  if (moves_rows && !has_own_cells()) move_out(record.map().n_held());
  change([&] { return record.retain(keep); });
  return true;
}

void Session::Impl::change(const std::function<CellChanges()>& change_record) {
  const OnFailure undo([this, before = record]() mutable { record = std::move(before); });
  const CellChanges changes = change_record();
  if (!context) return;
  const bool is_shifted = !context->waiting_shifts(sequence).empty();
  if (changes.arrangement && (is_shifted || rotates_keys(*changes.arrangement))) require_key_rotator();
  context->carry_out(sequence, changes, key_rotator.get());
}

void Session::Impl::require_key_rotator() {
  if (!key_rotator) key_rotator = checked_key_rotator(model, options);
}

KeepPlan Session::Impl::plan(std::int64_t n_upcoming) {
  const Policy& policy = this->policy();
  PolicyState& state = record.state();
  const std::int64_t n_seen = record.map().n_seen();
  const bool is_arranged = policy.is_per_layer() || policy.score_request() || record.layers();
  // If rows are arranged anew and positions stay, the newest token must stay in every layer.
  const bool needs_newest =
      is_arranged && !record.shifts_when_dropping() && policy.n_newest_kept() <= n_upcoming;
  const std::int64_t n_planned = n_seen + (needs_newest ? 0 : n_upcoming);
  std::optional<TokenScores> scores;
  std::optional<SessionKeys> keys;
  if (context && policy.score_request())
    scores = context->scores()->collected(record.held(), policy.score_request()->n_last_queries);
  if (context && policy.key_request()) keys.emplace(*model, *context, sequence, record, key_form);
  state.scores = scores ? &*scores : nullptr;
  state.keys = keys ? &*keys : nullptr;
  const OnExit hide([&] {
    state.scores = nullptr;
    state.keys = nullptr;
  });
  KeepPlan plan = policy.plan(n_planned, state);
  if (needs_newest) plan.append(n_seen, n_seen + n_upcoming);
  return plan;
}

std::optional<ScoreRequest> Session::Impl::recorded_attention() const {
  if (policy().score_request()) return policy().score_request();
  if (options.n_recorded_queries > 0) return ScoreRequest{options.n_recorded_queries};
  return std::nullopt;
}

void Session::Impl::require_recorded(const Policy& policy) const {
  const int n_asked = policy.score_request()->n_last_queries;
  const AttentionScores* const scores = context ? context->scores_of(sequence) : nullptr;
  const std::int64_t n_seen = record.map().n_seen();
  const bool is_whole = !record.layers() && record.map().n_held() == n_seen;
  const bool is_there = scores != nullptr && static_cast<std::int64_t>(scores->n_queries()) >=
                                                 std::min<std::int64_t>(n_asked, n_seen);
  if (n_asked > 0 && n_asked <= options.n_recorded_queries && is_there && is_whole) return;
  throw Error(ErrorCode::kUnsupported,
              policy.spec().name +
                  " chooses by attention, which is there for a session of its own, or for a " +
                  "fork of one that still holds everything and was made to record enough queries "
                  "(n_recorded_queries)" +
                  (n_asked > 0 ? ": " + std::to_string(n_asked) : ", not of every one"));
}

void Session::Impl::require_rotations() {
  require_keys();
  const bool rotates_rows =
      policy().is_per_layer() || policy().score_request() || moves_by_rows(model->handle());
  if (rotates_rows && options.positions != PositionMode::kAbsolute) {
    require_key_rotator();
  } else if (policy().is_per_layer() || policy().score_request()) {
    require_known_rows(model, options);
  }
}

void Session::Impl::require_keys() {
  const std::optional<KeyRequest> request = policy().key_request();
  if (!request || request->is_rotated) return;
  key_form = model->key_forms().of(model, options);
  if (key_form->rotator) return;
  throw Error(ErrorCode::kUnsupported,
              policy().spec().name + " compares keys without the rotation of their positions, and that of " +
                  model->info().name +
                  " cannot be taken back: it differs from ggml's plain one (as YaRN and LongRoPE do); use " +
                  "the strategy with rotated=1, or one that goes by position",
              "strategy");
}

void Session::Impl::pack_if_needed(std::int64_t n_upcoming, std::int64_t n_reserve) {
  if (!record.must_pack(n_upcoming)) return;
  if (!has_own_cells()) move_out(record.map().n_held() + n_reserve);
  change([&] { return record.pack(); });
}

void Session::Impl::move_out(std::int64_t n_cells) {
  auto own = std::make_shared<KvContext>(model, options, std::max(n_cells, record.map().n_held()),
                                         recorded_attention());
  const llama_seq_id own_sequence = own->take_sequence();
  own->put(own_sequence, context->copy(sequence), context->waiting_shifts(sequence));
  if (own->scores() != nullptr && context->scores() != nullptr) own->take_over(*context->scores());
  context->release_sequence(sequence);
  context = std::move(own);
  sequence = own_sequence;
}

void Session::Impl::require_positions(std::int64_t n_tokens) const {
  require_trained_positions(*model, options, record.map().next_position() + n_tokens);
}

void Session::Impl::require_windows(std::int64_t n_tokens) const {
  if (!context || n_tokens == 0 || !holds_windows(*model, options)) return;
  const std::int64_t n_window = model->info().n_window;  // positions are absolute: those of the tokens
  if (context->lowest_position(sequence) <= std::max<std::int64_t>(0, n_tokens - n_window + 1)) return;
  throw Error(ErrorCode::kUnsupported,
              model->info().name + " has layers with a window of " + std::to_string(n_window) +
                  " tokens, which no longer hold those before token " + std::to_string(n_tokens) +
                  ": go back to a snapshot that was taken there, or clear the session and append the tokens "
                  "again");
}

void Session::Impl::require_countable(std::int64_t n_tokens) const {
  const std::int64_t first_position = record.map().next_position();
  if (first_position + n_tokens <= kMaxTokens) return;
  throw Error(ErrorCode::kInvalidArgument,
              "the stream has reached position " + std::to_string(first_position) +
                  ", the last that llama.cpp can count: use packed or automatic positions");
}

void Session::Impl::throw_if_cancelled() const {
  if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed)) {
    throw Error(ErrorCode::kCancelled, "appending was cancelled");
  }
}

/// The probability of `token` under the logits `before` it.
void Session::Impl::tell(const AppendOptions& append, std::int64_t index, std::span<const float> before,
                         Token token) const {
  if (append.on_log_probability) append.on_log_probability(index, log_probability(before, token));
  if (append.on_probabilities)
    append.on_probabilities(index, token_probabilities(*model, before, token, append.n_best));
}

void Session::Impl::decode_batch(std::span<const Token> tokens, bool is_last, const AppendOptions& append) {
  const std::int64_t first_position = record.map().next_position();
  const std::int64_t first_index = record.map().n_seen();
  require_countable(static_cast<std::int64_t>(tokens.size()));
  std::vector<BatchToken> batch;
  for (const Token token : tokens) {
    batch.push_back({token, first_position + static_cast<std::int64_t>(batch.size()), sequence,
                     append.wants_probabilities()});
  }
  batch.back().wants_logits = is_last || append.wants_probabilities();
  record.prepare_written();
  std::vector<float> before = std::move(logits);  // of an earlier token: not what comes after this batch
  logits.clear();
  {
    const OnFailure undo([&] { logits = std::move(before); });
    context->decode(batch);
  }
  record.written(static_cast<std::int64_t>(tokens.size()));
  if (!batch.back().wants_logits) return;
  // Before any callback: if one throws, what was appended stays, with the logits that belong to it.
  const std::span<const float> row = context->logits(tokens.size() - 1);
  logits.assign(row.begin(), row.end());
  if (!append.wants_probabilities()) return;
  if (!before.empty()) tell(append, first_index, before, tokens.front());
  for (std::size_t i = 1; i < tokens.size(); ++i)
    tell(append, first_index + static_cast<std::int64_t>(i), context->logits(i - 1), tokens[i]);
}

void Session::Impl::decode(std::span<const Token> tokens, const AppendOptions& append) {
  require_positions(static_cast<std::int64_t>(tokens.size()));
  // Again after what a bounded append evicted: a fork frees no cell that another session holds.
  ensure_cells(record.map().n_held() + static_cast<std::int64_t>(tokens.size()));
  int n_most = context->n_batch();
  if (append.wants_probabilities()) {
    n_most = std::min(kScoredTokens, n_most);
    if (is_pooled()) {
      n_most = std::min(n_most, context->n_outputs());  // a pool keeps the room that it has
    } else {
      context->ensure_outputs(n_most);
    }
  }
  // Where the last queries alone are recorded, they are batches of their own, and those before cost nothing.
  const std::optional<ScoreRequest> recorded = recorded_attention();
  const auto n_recorded = static_cast<std::size_t>(recorded ? recorded->n_last_queries : 0);
  const OnExit record_again([this] { context->record_attention(true); });
  for (std::size_t from = 0; from < tokens.size();) {
    throw_if_cancelled();
    const std::size_t n_left = tokens.size() - from;
    std::size_t n = std::min(n_left, static_cast<std::size_t>(n_most));
    const bool is_before = n_recorded > 0 && n_left > n_recorded;
    if (is_before) n = std::min(n, n_left - n_recorded);
    context->record_attention(!is_before);
    pack_if_needed(static_cast<std::int64_t>(n), static_cast<std::int64_t>(tokens.size() - from));
    decode_batch(tokens.subspan(from, n), from + n == tokens.size(), append);
    from += n;
  }
}

std::int64_t Session::Impl::cells_for_bounded(std::int64_t n_tokens, const AppendOptions& append) const {
  const Policy& policy = this->policy();
  const std::int64_t n_trained = context_limit(*model);
  const std::int64_t n_now = record.map().n_held() + n_tokens;
  // A pool's cells are there: what this call holds must fit, not what may come.
  const std::optional<std::int64_t> n_to_come = is_pooled() ? 0 : append.n_to_come;
  const std::optional<std::int64_t> budget = policy.budget_tokens(record.streaming_state());
  if (!budget) {
    if (!model->info().cache_layers.empty()) require_bound(policy, model->info().n_cache_layers());
    const std::int64_t n_all = n_now + n_to_come.value_or(0);
    return n_trained > 0 ? std::min(n_all, std::max(n_now, n_trained)) : n_all;
  }
  const std::int64_t n_bound = cells_in_stream(*budget, options.n_chunk, record.slack());
  if (n_trained > 0 && n_bound > n_trained) {
    throw Error(ErrorCode::kInvalidArgument,
                "a budget of " + std::to_string(*budget) + " tokens and a chunk of " +
                    std::to_string(n_bound - *budget) + " do not fit the context of " +
                    std::to_string(n_trained) + " that " + model->info().name +
                    " was trained on: lower the budget or the chunk");
  }
  return n_to_come ? std::min(n_bound, n_now + *n_to_come) : n_bound;
}

void Session::Impl::begin_chunk(std::int64_t n_tokens) {
  const Policy& policy = this->policy();
  record.begin_stream();
  if (policy.looks_into_cache()) {
    retain(plan(0));
  } else {
    retain(keep_before_chunk(policy, record.state(), record.held(), record.map().n_seen()));
  }
  pack_if_needed(n_tokens, std::max<std::int64_t>(options.n_chunk, record.slack()));
}

void Session::Impl::append_bounded(std::span<const Token> tokens, const AppendOptions& append) {
  const std::int64_t n_cells = cells_for_bounded(static_cast<std::int64_t>(tokens.size()), append);
  require_positions(static_cast<std::int64_t>(tokens.size()));
  ensure_cells(n_cells);
  for (std::size_t from = 0; from < tokens.size();) {
    const std::size_t n = std::min(tokens.size() - from, static_cast<std::size_t>(options.n_chunk));
    begin_chunk(static_cast<std::int64_t>(n));
    decode(tokens.subspan(from, n), append);
    from += n;
  }
}

std::int64_t Session::Impl::cells_needed(const EvictOptions& evict) const {
  const std::int64_t n_now = record.map().n_held() + evict.n_upcoming;
  return cells_after_eviction(policy(), record.state(), record.slack(), n_now, evict.n_reserve);
}

}  // namespace kvevict
