#include "kvevict/session.h"

#include <string>

#include "base/stopwatch.h"
#include "engine/session_impl.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

void require_in_range(const char* option, int value, int least, int most) {
  if (value >= least && value <= most) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::string(option) + " is " + std::to_string(value) + ": " +
                  (value < least ? std::to_string(least) + " or more" : std::to_string(most) + " or less") +
                  " is needed");
}

void validate(const Model& model, const SessionOptions& options) {
  constexpr int kMost = 1 << 30;
  require_in_range("batch", options.n_batch, 1, kMost);
  require_in_range("ubatch", options.n_ubatch, 1, kMost);
  require_in_range("chunk", options.n_chunk, 1, kMost);
  require_in_range("decode_slack", options.n_decode_slack, 1, kMost);
  require_in_range("n_sequences", options.n_sequences, 1, kMaxSequences);
  if (options.n_threads < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "threads is " + std::to_string(options.n_threads) + ": 0 (automatic) or more is needed");
  }
  const bool is_v_quantised = options.type_v == KvType::kQ8_0 || options.type_v == KvType::kQ4_0;
  if (is_v_quantised && options.flash_attention == FlashAttention::kOff) {
    throw Error(ErrorCode::kUnsupported,
                "a V cache of type " + std::string(to_string(options.type_v)) +
                    " needs flash attention: leave it on" +
                    (options.scores ? " with a strategy that goes by position" : "") +
                    ", or use f32, f16 or bf16 for V");
  }
  if (options.scores && options.flash_attention != FlashAttention::kOff) {
    throw Error(ErrorCode::kInvalidArgument,
                "attention can be recorded only where flash attention is off: see options_for");
  }
  if (options.scores && options.n_sequences != 1) {
    throw Error(ErrorCode::kInvalidArgument, "n_sequences is " + std::to_string(options.n_sequences) +
                                                 ": a session that records attention has its context alone");
  }
  if (options.positions != PositionMode::kAbsolute && !model.info().can_shift_positions) {
    throw Error(ErrorCode::kUnsupported,
                "the positions of " + model.info().name +
                    " cannot be shifted (several positions for each token, or a sliding "
                    "window): use absolute positions with it");
  }
}

}  // namespace

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options) {
  validate(*model, options);
  impl_ = std::make_unique<Impl>(std::move(model), options);
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
  if (options.policy) {
    impl_->append_bounded(tokens, *options.policy, options.on_log_probability);
    return;
  }
  impl_->decode(tokens, options.on_log_probability);
}

bool Session::make_room(const Policy& policy, std::int64_t n_upcoming) {
  impl_->require_fitting(policy);
  if (!impl_->context || !impl_->record.outgrows(policy, n_upcoming)) return false;
  return impl_->retain(impl_->plan(policy, n_upcoming));
}

EvictionReport Session::evict(const Policy& policy, const EvictOptions& options) {
  EvictionReport report;
  const Stopwatch watch;
  SequenceRecord& record = impl_->record;
  const std::int64_t n_seen = record.map().n_seen();
  impl_->require_fitting(policy);
  const KeepPlan wanted = impl_->plan(policy, options.n_upcoming);
  report.kept = record.held().merge_with_history(wanted, n_seen);
  report.seconds_plan = watch.seconds();
  if (!impl_->context) return report;
  const Stopwatch moving;
  const std::int64_t n_before = record.map().n_held();
  if (impl_->retain(wanted) && impl_->is_alone())
    impl_->context->resize(impl_->cells_needed(policy, options));
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
  return impl_->record.map(layer).runs();
}
const Model& Session::model() const noexcept {
  return *impl_->model;
}
const SessionOptions& Session::options() const noexcept {
  return impl_->options;
}

std::int64_t Session::count_occupied_cells() const {
  return impl_->context ? impl_->context->count_occupied() : 0;
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
    stats.kv_bytes_peak = impl_->context->kv_bytes_peak();
    stats.n_decode_calls = impl_->context->n_decode_calls();
    stats.n_decoded_tokens = impl_->context->n_decoded_tokens();
  }
  return stats;
}

}  // namespace kvevict
