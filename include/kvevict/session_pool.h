#pragma once

#include <cstdint>
#include <memory>

#include "kvevict/export.h"
#include "kvevict/session.h"

namespace KVEVICT_PUBLIC kvevict {

/// How many sessions a pool is for, and the tokens that each may hold.
struct PoolSize {
  int n_sessions = 1;        ///< 1 … kMaxSequences.
  std::int64_t n_cells = 1;  ///< Of each session; padded up to llama.cpp's multiple of 256.
};

/// Bytes of K and V that a pool takes, from its first moment to its last. `options`: as for the pool. Errors:
/// kInvalidArgument for a size out of range.
[[nodiscard]] std::int64_t pool_kv_bytes(const Model& model, const SessionOptions& options,
                                         const PoolSize& size);

/// Many sessions in one llama.cpp context, each in cells of its own: they share no token, evict and pack each
/// for itself, and `Session::append_each` decodes them in one batch.
///
/// A pool allocates its cells once. Its sessions never move, grow or shrink them: an append that would pass
/// the cells of its session is refused before anything changes (kInvalidArgument), and `make_room` evicts
/// before that. `Session::evict` gives no memory back, `detach` moves a session to a context of its own,
/// `fork` copies it into a free place, snapshots are those of any session, and in `SessionStats` cells and
/// bytes are those of the session's own part. A shift of positions waits for the next decode of any session
/// of the pool, which carries out all that wait.
///
/// Owner: the sessions keep the context alive; a pool may be destroyed before them. Shares the model.
/// Thread safety: one thread at a time, for a pool and all its sessions together.
class SessionPool {
 public:
  /// Makes the context, and holds the way that llama.cpp hands out rows of several sequences against the
  /// model by a few tokens in a small one. `options`: of all sessions; `n_sequences` and
  /// `n_recorded_queries` have no meaning here and must be as they are by default. Errors: kInvalidArgument
  /// for a size or an option out of its range; kUnsupported for a model whose cache cannot be told apart by
  /// sequences; kOutOfMemory; kEngine.
  SessionPool(std::shared_ptr<const Model> model, const SessionOptions& options, const PoolSize& size);
  ~SessionPool();
  SessionPool(SessionPool&&) noexcept;
  SessionPool& operator=(SessionPool&&) noexcept;

  /// An empty session in a free place, which it gives back when it is destroyed. Errors: those of Session's
  /// constructor; kInvalidArgument if all places are taken; kUnsupported for a policy that chooses by
  /// attention, which is recorded for a session with a context of its own.
  [[nodiscard]] Session open(std::shared_ptr<const Policy> policy);

  /// A session that goes on where `snapshot` was taken, in a pool or not. Errors: those of `open` and
  /// `Session::restore`; kInvalidArgument for more tokens than a session of the pool may hold.
  [[nodiscard]] Session restore(std::shared_ptr<const Policy> policy, const SessionSnapshot& snapshot);

  [[nodiscard]] int n_sessions() const noexcept;         ///< Places, free and taken.
  [[nodiscard]] int n_open() const noexcept;             ///< Places that are taken.
  [[nodiscard]] std::int64_t n_cells() const noexcept;   ///< Of each place: tokens that a session may hold.
  [[nodiscard]] std::int64_t kv_bytes() const noexcept;  ///< Of the whole pool.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict
