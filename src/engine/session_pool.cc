#include "kvevict/session_pool.h"

#include <string>

#include "base/units.h"
#include "engine/kv_size.h"
#include "engine/model_traits.h"
#include "engine/new_context.h"
#include "engine/session_impl.h"
#include "kvevict/error.h"
#include "kvevict/simple_evict.h"

namespace kvevict {
namespace {

void require_between(const char* what, std::int64_t value, std::int64_t most) {
  if (value >= 1 && value <= most) return;
  throw Error(
      ErrorCode::kInvalidArgument,
      "a pool of " + std::to_string(value) + " " + what + ": 1 to " + std::to_string(most) + " are possible",
      what == std::string("sessions") ? "n_sessions" : "n_cells");
}

void require_sound(const PoolSize& size) {
  require_between("sessions", size.n_sessions, kMaxSequences);
  // llama.cpp counts the cells of a context in 32 bits.
  require_between("cells for each session", size.n_cells, kMaxTokens / size.n_sessions - kCellPadding);
}

void require_sound(const SessionOptions& options) {
  if (options.n_sequences != 1) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "n_sequences is " + std::to_string(options.n_sequences) +
            ": the sessions of a pool share no cells, its size says how many there are, and 1 is needed",
        "n_sequences");
  }
  if (options.n_recorded_queries != 0) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "n_recorded_queries is " + std::to_string(options.n_recorded_queries) +
            ": attention is recorded for a session with a context of its own, and 0 is needed in a pool",
        "n_recorded_queries");
  }
}

/// Holds the rows of one sequence of several against the model: a token decoded in the second of two must be
/// the same in the first, to where its rows are moved.
void require_rows_by_sequence(const std::shared_ptr<const Model>& model, SessionOptions options) {
  if (has_index(model->handle())) {
    throw Error(ErrorCode::kUnsupported,
                model->info().name +
                    " keeps a second key of each token, whose rows cannot be told apart by "
                    "sequences: use a session with a context of its own");
  }
  options.cancel = nullptr;
  KvContext small(model, options, 1, std::nullopt, 0, 2);
  const llama_seq_id first = small.take_sequence();
  const llama_seq_id second = small.take_sequence();
  const BatchToken token{.token = 0, .position = 0, .sequence = second, .wants_logits = true};
  small.decode({&token, 1});
  const std::vector<std::uint8_t> rows = small.copy(second);
  small.put(first, rows, {});
  std::vector<std::uint8_t> moved = small.copy(first);
  // All is the same but for the number of the sequence, at the state's beginning and in the cell.
  small.empty_sequence(second);
  small.put(second, moved, {});
  if (small.copy(second) == rows && small.count_occupied(first) == small.count_occupied(second)) return;
  throw Error(ErrorCode::kUnsupported,
              "the cache of " + model->info().name +
                  " cannot be told apart by sequences: use a session with a context of its own");
}

/// What the context is made for: positions are each session's own.
SessionOptions of_context(SessionOptions options) {
  options.positions = PositionMode::kAbsolute;
  return options;
}

}  // namespace

std::int64_t pool_kv_bytes(const Model& model, const SessionOptions& options, const PoolSize& size) {
  require_sound(size);
  return kv_bytes_of(model, options, padded_cells(size.n_cells)) * size.n_sessions;
}

struct KVEVICT_PRIVATE SessionPool::Impl {
  std::shared_ptr<const Model> model;
  SessionOptions options;
  PoolSize size;
  std::shared_ptr<KvContext> context;
};

SessionPool::SessionPool(std::shared_ptr<const Model> model, const SessionOptions& options,
                         const PoolSize& size) {
  if (!model) throw Error(ErrorCode::kInvalidArgument, "a pool needs a model");
  require_sound(size);
  require_sound(options);
  const SessionOptions resolved = of_context(resolved_options(*model, *make_policy("full"), options));
  require_rows_by_sequence(model, resolved);
  auto context = std::make_shared<KvContext>(model, resolved, size.n_cells, std::nullopt, 0, size.n_sessions);
  impl_ = std::make_unique<Impl>(Impl{std::move(model), options, size, std::move(context)});
}

SessionPool::~SessionPool() = default;
SessionPool::SessionPool(SessionPool&&) noexcept = default;
SessionPool& SessionPool::operator=(SessionPool&&) noexcept = default;

Session SessionPool::open(std::shared_ptr<const Policy> policy) {
  if (policy && policy->score_request()) {
    throw Error(ErrorCode::kUnsupported,
                policy->spec().name +
                    " chooses by attention, which is recorded for a session with a context of "
                    "its own: open it outside the pool, or use a strategy that goes by position "
                    "or by keys");
  }
  Session session(impl_->model, std::move(policy), impl_->options);
  if (session.options().positions != PositionMode::kAbsolute) impl_->context->require_shifts();
  session.impl_->sequence = impl_->context->take_sequence();
  session.impl_->context = impl_->context;
  return session;
}

Session SessionPool::restore(std::shared_ptr<const Policy> policy, const SessionSnapshot& snapshot) {
  Session session = open(std::move(policy));
  session.impl_->restore(snapshot);
  return session;
}

int SessionPool::n_sessions() const noexcept {
  return impl_->size.n_sessions;
}
int SessionPool::n_open() const noexcept {
  return impl_->context->n_sequences_in_use();
}
std::int64_t SessionPool::n_cells() const noexcept {
  return impl_->context->n_cells();
}
std::int64_t SessionPool::kv_bytes() const noexcept {
  return impl_->context->kv_bytes() * impl_->size.n_sessions;
}

}  // namespace kvevict
