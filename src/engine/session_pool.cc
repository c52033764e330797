#include "kvevict/session_pool.h"

#include <algorithm>
#include <cmath>
#include <future>
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

void require_size(const PoolSize& size) {
  require_between("sessions", size.n_sessions, kMaxSequences);
  // llama.cpp counts the cells of a context in 32 bits.
  require_between("cells for each session", size.n_cells, kMaxTokens / size.n_sessions - kCellPadding);
}

void require_plain(const SessionOptions& options) {
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

[[noreturn]] void refuse_model(const Model& model, const char* what) {
  throw Error(ErrorCode::kUnsupported, what + (" of " + model.info().name) +
                                           " cannot be told apart by sequences: use a session with a context "
                                           "of its own");
}

/// Decodes two tokens in each of `sequences`, in one batch, and returns the logits behind the last of them.
std::vector<float> decode_pairs(KvContext& context, std::span<const llama_seq_id> sequences) {
  std::vector<BatchToken> batch;
  for (const llama_seq_id s : sequences) {
    batch.push_back({.token = s, .position = 0, .sequence = s, .wants_logits = false});
    batch.push_back({.token = 1, .position = 1, .sequence = s, .wants_logits = true});
  }
  context.decode(batch);
  const std::span<const float> row = context.logits(batch.size() - 1);
  return {row.begin(), row.end()};
}

/// Whether two rows are the same but for the order of sums, in any element type.
bool are_close(std::span<const float> a, std::span<const float> b) {
  constexpr float kMost = 0.1F;  // of the largest: quantised weights leave a few hundredths
  float largest = 0;
  float difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(b[i]));
    difference = std::max(difference, std::abs(a[i] - b[i]));
  }
  return difference <= kMost * largest;
}

/// Holds two sequences with cells of their own against the model: what one of them computes beside the other
/// must be what it computes alone, and its rows the same, moved to the other and back, and to a context
/// alone. llama.cpp's graphs of a few models take a batch for that of one sequence.
void require_apart(const std::shared_ptr<const Model>& model, SessionOptions options) {
  if (has_index(model->handle())) refuse_model(*model, "the second keys");
  options.cancel = nullptr;
  KvContext small(model, options, 1, std::nullopt, 0, 2);
  const llama_seq_id first = small.take_sequence();
  const llama_seq_id second = small.take_sequence();
  const llama_seq_id both[] = {first, second};
  const std::vector<float> beside = decode_pairs(small, both);
  small.empty_sequence(second);
  if (!are_close(beside, decode_pairs(small, {&second, 1}))) refuse_model(*model, "the computation");
  const std::vector<std::uint8_t> rows = small.copy(second);
  small.put(first, rows, {});
  const std::vector<std::uint8_t> moved = small.copy(first);
  small.empty_sequence(second);
  small.put(second, moved, {});
  KvContext lone(model, options, 1);
  lone.put(lone.take_sequence(), moved, {});
  if (small.copy(second) != rows || lone.copy(0) != moved) refuse_model(*model, "the cache");
}

/// Runs `work` on a thread of its own. Each thread that computes gets helpers from OpenMP, which stay as long
/// as it does: where all of them are more than the processors, GNU's OpenMP takes the machine for crowded and
/// lets them sleep at every operation, which makes a step half as long again. A pool is made on one thread
/// and mostly computes on another.
template <typename Work>
void on_thread_of_its_own(const Work& work) {
  std::async(std::launch::async, work).get();
}

/// What the context is made for: positions are each session's own.
SessionOptions of_context(SessionOptions options) {
  options.positions = PositionMode::kAbsolute;
  return options;
}

}  // namespace

std::int64_t pool_kv_bytes(const Model& model, const SessionOptions& options, const PoolSize& size) {
  require_size(size);
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
  require_size(size);
  require_plain(options);
  const SessionOptions resolved = of_context(resolved_options(*model, *make_policy("full"), options));
  on_thread_of_its_own([&] { require_apart(model, resolved); });
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
