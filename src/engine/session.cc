#include "kvevict/session.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "engine/kv_context.h"
#include "engine/sampler.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void require_at_least_one(const char* option, int value) {
  if (value >= 1) return;
  throw Error(ErrorCode::kInvalidArgument, std::string(option) + " is " + std::to_string(value) + ": 1 or more is needed");
}

void validate(const Model& model, const SessionOptions& options) {
  require_at_least_one("batch", options.n_batch);
  require_at_least_one("ubatch", options.n_ubatch);
  require_at_least_one("decode_slack", options.n_decode_slack);
  if (options.n_threads < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "threads is " + std::to_string(options.n_threads) + ": 0 (automatic) or more is needed");
  }
  const bool is_v_quantised = options.type_v == KvType::kQ8_0 || options.type_v == KvType::kQ4_0;
  if (is_v_quantised && options.flash_attention == FlashAttention::kOff) {
    throw Error(ErrorCode::kUnsupported, "a V cache of type " + std::string(to_string(options.type_v)) +
                                             " needs flash attention: leave it on, or use f32, f16 or bf16");
  }
  if (options.positions == PositionMode::kPacked && !model.info().can_shift_positions) {
    throw Error(ErrorCode::kUnsupported,
                "the positions of " + model.info().name + " cannot be shifted: use absolute positions with it");
  }
}

}  // namespace

struct Session::Impl {
  std::shared_ptr<const Model> model;
  SessionOptions options;
  CacheMap map;
  std::optional<KvContext> context;
  std::string policy_name;  // whose state `policy_state` is
  PolicyState policy_state;
  std::int64_t n_evictions = 0;

  [[nodiscard]] PolicyState& state_of(const Policy& policy) {
    std::string name = policy.versioned_name() + " " + to_string(policy.spec());
    if (name != policy_name) {
      policy_name = std::move(name);
      policy_state = {};
    }
    return policy_state;
  }

  void ensure_cells(std::int64_t n_tokens_held) {
    const std::int64_t n_trained = model->info().n_context_trained;
    if (n_trained > 0 && n_tokens_held > n_trained) {
      throw Error(ErrorCode::kInvalidArgument, "the cache would hold " + std::to_string(n_tokens_held) +
                                                   " tokens, but " + model->info().name + " was trained on contexts of " +
                                                   std::to_string(n_trained) + ": shorten the text or evict earlier");
    }
    if (!context) {
      context.emplace(model, options, n_tokens_held);
    } else if (context->n_cells() < n_tokens_held) {
      context->resize(n_tokens_held);
    }
  }

  /// Removes what `keep` lacks and, in packed mode, closes the gaps. Returns whether tokens went.
  bool retain(KeepSet keep) {
    const std::int64_t n_before = map.n_held();
    const bool is_packed = options.positions == PositionMode::kPacked;
    // llama.cpp takes the next token only right behind the newest one in the cache.
    if (!is_packed && !keep.empty() && map.n_seen() > 0 && map.held().contains(map.n_seen() - 1)) {
      keep = keep.unite(KeepSet::from_ranges({{map.n_seen() - 1, map.n_seen()}}));
    }
    context->remove(map.retain(keep));
    const bool has_removed = map.n_held() < n_before;
    if (has_removed && is_packed) context->shift(map.pack());
    return has_removed;
  }

  /// Before `n_upcoming` tokens are decoded: evicts in place if they would pass the budget.
  void make_room(const Policy& policy, std::int64_t n_upcoming) {
    PolicyState& state = state_of(policy);
    const std::optional<std::int64_t> budget = policy.budget_tokens(state);
    if (!budget || map.n_held() + n_upcoming <= *budget + slack()) return;
    if (retain(policy.plan(map.n_seen() + n_upcoming, state).layer(0))) ++n_evictions;
  }

  /// Tokens by which the cache may outgrow its budget between evictions while decoding.
  [[nodiscard]] std::int64_t slack() const {
    return options.positions == PositionMode::kPacked ? options.n_decode_slack : 0;
  }

  /// Cells that are needed from now on, after an eviction by `policy`.
  [[nodiscard]] std::int64_t cells_needed(const Policy& policy, const EvictOptions& evict) const {
    const std::int64_t n_now = map.n_held() + evict.n_upcoming;
    const std::int64_t n_unbounded = n_now + evict.n_reserve;
    const std::optional<std::int64_t> budget = policy.budget_tokens(policy_state);
    const std::int64_t n_predecessors = policy.spec().config.recent_tokens == 1 ? 1 : 0;  // see evict()
    return budget ? std::max(n_now, std::min(n_unbounded, *budget + slack() + n_predecessors)) : n_unbounded;
  }
};

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options) : impl_(std::make_unique<Impl>()) {
  validate(*model, options);
  impl_->model = std::move(model);
  impl_->options = options;
  impl_->options.n_ubatch = std::min(options.n_ubatch, options.n_batch);
}

Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

void Session::reserve(std::int64_t n_tokens) { impl_->ensure_cells(impl_->map.n_held() + n_tokens); }

void Session::append(std::span<const Token> tokens) {
  if (tokens.empty()) return;
  reserve(static_cast<std::int64_t>(tokens.size()));
  for (std::size_t from = 0; from < tokens.size();) {
    if (impl_->options.cancel != nullptr && impl_->options.cancel->load(std::memory_order_relaxed)) {
      throw Error(ErrorCode::kCancelled, "appending was cancelled");
    }
    const std::size_t n = std::min(tokens.size() - from, static_cast<std::size_t>(impl_->context->n_batch()));
    impl_->context->decode(tokens.subspan(from, n), impl_->map.next_position(), from + n == tokens.size());
    impl_->map.append(static_cast<std::int64_t>(n));
    from += n;
  }
}

EvictionReport Session::evict(const Policy& policy, const EvictOptions& options) {
  EvictionReport report;
  const auto start = Clock::now();
  PolicyState& state = impl_->state_of(policy);
  const std::int64_t n_seen = impl_->map.n_seen();
  const KeepSet wanted = policy.plan(n_seen + options.n_upcoming, state).layer(0);
  report.kept = impl_->map.held().merge_with_history(wanted, n_seen);
  report.seconds_plan = seconds_since(start);
  if (!impl_->context) return report;
  const auto moving = Clock::now();
  const std::int64_t n_before = impl_->map.n_held();
  if (impl_->retain(wanted)) {
    ++impl_->n_evictions;
    impl_->context->resize(impl_->cells_needed(policy, options));
  }
  report.n_removed = n_before - impl_->map.n_held();
  report.seconds_move = seconds_since(moving);
  return report;
}

Generation Session::generate(const GenerateOptions& options) {
  if (logits().empty()) {
    throw Error(ErrorCode::kInvalidArgument, "nothing was appended to the session: there is nothing to go on from");
  }
  Sampler sampler(options.sampling);
  Generation generation;
  for (std::int64_t i = 0; i < options.max_new_tokens; ++i) {
    const Token token = sampler.sample(logits());
    if (options.stop_at_end_of_generation && impl_->model->is_end_of_generation(token)) {
      generation.reached_end = true;
      break;
    }
    generation.tokens.push_back(token);
    if (options.on_token && !options.on_token(token, impl_->model->detokenize({&token, 1}))) break;
    if (i + 1 == options.max_new_tokens) break;
    if (options.policy) impl_->make_room(*options.policy, 1);
    append({&token, 1});
  }
  generation.text = impl_->model->detokenize(generation.tokens);
  return generation;
}

std::span<const float> Session::logits() const {
  return impl_->context ? impl_->context->logits() : std::span<const float>();
}

const KeepSet& Session::held() const noexcept { return impl_->map.held(); }
const Model& Session::model() const noexcept { return *impl_->model; }
const SessionOptions& Session::options() const noexcept { return impl_->options; }

SessionStats Session::stats() const {
  SessionStats stats{.n_tokens_seen = impl_->map.n_seen(), .n_tokens_held = impl_->map.n_held()};
  stats.n_evictions = impl_->n_evictions;
  if (impl_->context) {
    stats.n_cells = impl_->context->n_cells();
    stats.kv_bytes = impl_->context->kv_bytes();
    stats.kv_bytes_peak = impl_->context->kv_bytes_peak();
    stats.n_decode_calls = impl_->context->n_decode_calls();
  }
  return stats;
}

}  // namespace kvevict
