#include "kvevict/session.h"

#include <string>

#include "base/stopwatch.h"
#include "engine/session_impl.h"
#include "kvevict/error.h"

namespace kvevict {
Session::Session(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
                 const SessionOptions& options) {
  if (!model || !policy) throw Error(ErrorCode::kInvalidArgument, "a session needs a model and a policy");
  SessionOptions resolved = resolved_options(*model, *policy, options);
  impl_ = std::make_unique<Impl>(model, policy, resolved);
  try {
    impl_->require_rotations();
  } catch (const Error& error) {
    const bool is_chosen_here =
        !options.positions && !policy->required_positions() && *resolved.positions != PositionMode::kAbsolute;
    if (error.code() != ErrorCode::kUnsupported || !is_chosen_here) throw;
    // A default never refuses a model: where its keys cannot be rotated, positions stay.
    resolved.positions = PositionMode::kAbsolute;
    resolved.past_trained_context = true;
    impl_ = std::make_unique<Impl>(std::move(model), std::move(policy), resolved);
    impl_->require_rotations();
  }
  impl_->asked_positions = options.positions;
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

void Session::reserve(std::int64_t n_tokens) {
  impl_->ensure_cells(impl_->record.map().n_held() + n_tokens);
}

void Session::append(std::span<const Token> tokens, const AppendOptions& options) {
  if (tokens.empty()) return;
  if (options.prefill.value_or(impl_->options.prefill) == PrefillMode::kBounded) {
    impl_->append_bounded(tokens, options);
  } else {
    impl_->decode(tokens, options);
  }
}

bool Session::make_room(std::int64_t n_upcoming) {
  if (!impl_->must_evict(n_upcoming)) return false;
  return impl_->retain(impl_->plan(n_upcoming));
}

EvictionReport Session::evict(const EvictOptions& options) {
  EvictionReport report;
  const Stopwatch watch;
  SequenceRecord& record = impl_->record;
  const std::int64_t n_seen = record.map().n_seen();
  const KeepPlan wanted = impl_->plan(options.n_upcoming);
  report.kept = record.held().merge_with_history(wanted, n_seen);
  report.seconds_plan = watch.seconds();
  if (!impl_->context) return report;
  const Stopwatch moving;
  const std::int64_t n_before = record.map().n_held();
  if (impl_->retain(wanted) && impl_->has_own_context()) impl_->context->resize(impl_->cells_needed(options));
  report.n_removed = n_before - record.map().n_held();
  report.seconds_move = moving.seconds();
  return report;
}

std::span<const float> Session::logits() const {
  return impl_->logits;
}
KeepSet Session::held() const {
  return impl_->record.held().in_any_layer();
}
KeepPlan Session::held_by_layer() const {
  return impl_->record.held();
}
std::span<const HeldRun> Session::record(std::size_t layer) const {
  const auto n_layers = static_cast<std::size_t>(impl_->model->info().n_cache_layers());
  if (layer >= n_layers) {
    throw Error(ErrorCode::kInvalidArgument,
                "there is no layer " + std::to_string(layer) + ": " + impl_->model->info().name + " has " +
                    std::to_string(n_layers) + ", counted from 0",
                "layer");
  }
  return impl_->record.map(layer).runs();
}
const Model& Session::model() const noexcept {
  return *impl_->model;
}
const Policy& Session::policy() const noexcept {
  return impl_->record.policy();
}
const SessionOptions& Session::options() const noexcept {
  return impl_->options;
}

std::int64_t Session::count_occupied_cells() const {
  return impl_->context ? impl_->context->count_occupied(impl_->sequence) : 0;
}

SessionStats Session::stats() const {
  const SequenceRecord& record = impl_->record;
  SessionStats stats{.n_tokens_seen = record.map().n_seen(), .n_tokens_held = record.map().n_held()};
  stats.n_tokens_held_peak = record.n_held_peak();
  stats.n_evictions = record.n_evictions();
  stats.n_packs = record.n_packs();
  if (impl_->context) {
    stats.n_cells = impl_->context->n_cells();
    stats.kv_bytes = impl_->context->kv_bytes();
    stats.state_bytes = impl_->context->state_bytes();
    stats.kv_bytes_peak = impl_->context->kv_bytes_peak();
    stats.n_decode_calls = impl_->context->n_decode_calls();
    stats.n_decoded_tokens = impl_->context->n_decoded_tokens();
    stats.n_threads = impl_->context->threads().n_decode();
    stats.n_threads_batch = impl_->context->threads().n_batch();
  }
  return stats;
}

}  // namespace kvevict
