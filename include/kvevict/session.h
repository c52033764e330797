#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kvevict/held_run.h"
#include "kvevict/model.h"
#include "kvevict/policy.h"
#include "kvevict/session_options.h"

namespace kvevict {

struct SessionSnapshot;

/// One sequence of tokens in a llama.cpp context, whose cache can be evicted by position.
///
/// Owner: owns its context, or shares it with the sessions forked from it; shares the model.
/// Thread safety: one thread at a time, for all sessions of a context together.
/// Errors leave the session as it was before the call, unless a member says otherwise.
class Session {
 public:
  /// Makes no context yet. Errors: kInvalidArgument (an option out of its range), kUnsupported
  /// (packed or automatic positions on a model whose positions cannot shift; a quantised V cache
  /// without flash attention).
  Session(std::shared_ptr<const Model> model, const SessionOptions& options);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  /// Makes sure that `n_tokens` more tokens can be appended without the context being enlarged.
  /// Errors: kInvalidArgument where more tokens would be held than the trained context has,
  /// kOutOfMemory.
  void reserve(std::int64_t n_tokens);

  /// Decodes `tokens` behind what the session has seen and writes their K and V. O(tokens x held).
  /// With a policy (a bounded append) the context is made once, of budget + chunk cells padded to
  /// llama.cpp's 256, freed cells are used again, and nothing grows with the tokens seen. The first
  /// bounded append before any eviction makes the policy streaming (`Schedule::kStreaming`) for
  /// this session; after a one-shot eviction the frozen middle stays. O(tokens x budget).
  /// Errors: those of `reserve`; kInvalidArgument for a stride in a stream and for a budget and
  /// chunk that the trained context cannot hold; kCancelled and kEngine: tokens of earlier
  /// batches of this call stay appended, the others are not.
  void append(std::span<const Token> tokens, const AppendOptions& options = {});

  /// Appends `tokens[i]` to `sessions[i]`, with one llama_decode for all sessions that share a
  /// context. Each session then has its own logits. Errors: as `append`; kInvalidArgument for
  /// a session that is named twice; nothing is appended in the failing context.
  static void append_each(std::span<Session* const> sessions, std::span<const Token> tokens);

  /// Evicts in place if `n_upcoming` more tokens would pass the policy's budget (and, packed, the
  /// decode slack): what `generate` does before every token. Returns whether tokens went.
  bool make_room(const Policy& policy, std::int64_t n_upcoming = 1);

  /// Plans with `policy`, removes what the plan drops, and moves the kept cells into a context
  /// of the right size, so that the memory is given back and later tokens attend over the kept
  /// tokens only (a context that other sessions share is neither moved nor shrunk). The state of
  /// another policy is forgotten. A plan that drops nothing changes nothing. Peak: the old cells
  /// and a copy of the kept rows, then that copy and the new cells.
  /// llama.cpp wants a token's predecessor in the cache: where the plan drops it (recent_tokens 1,
  /// absolute positions), it stays until the next token has been written.
  EvictionReport evict(const Policy& policy, const EvictOptions& options = {});

  /// Samples from the logits of the last appended token and goes on from there. The last new
  /// token is returned but not appended. What is drawn depends on the seed, the token's index and
  /// the logits alone, so stopping, saving and going on gives the same tokens.
  /// REQUIRES: something was appended.
  Generation generate(const GenerateOptions& options);

  /// Another session with the same tokens, record and logits, in the same context: no cell is
  /// copied. Until one of them is detached both attend over the union of their cells. Packing
  /// positions moves a session to a context of its own first (shared keys cannot turn twice).
  /// Errors: kInvalidArgument where the context already has `n_sequences` sessions.
  [[nodiscard]] Session fork();

  /// Moves the session to a context of its own, of the cells that it holds and `n_reserve` more.
  /// Cost: two copies of its rows. Errors: kOutOfMemory, kEngine.
  void detach(std::int64_t n_reserve = 0);

  /// Forgets the tokens from index `n_tokens` on; `logits()` is empty until the next append.
  /// Errors: kInvalidArgument where token n_tokens − 1 is gone, or layers would hold unequally many tokens.
  void trim(std::int64_t n_tokens);

  /// Forgets every token and every plan; keeps the cells allocated.
  void clear();

  /// A copy of everything that a later session needs to go on: O(held) bytes. Closes the holes
  /// between this session's own cells as well (unless forks share them), so that both go on bit for
  /// bit alike: where a token's cell lies changes the order in which attention sums.
  [[nodiscard]] SessionSnapshot snapshot();

  /// A session that goes on where `snapshot` was taken. Errors: kInvalidArgument (another model, llama.cpp,
  /// element type or positions than the snapshot's), kBadData (another flash attention; a record that
  /// contradicts itself or the cells), kUnsupported (`scores`), and those of the constructor.
  [[nodiscard]] static Session restore(std::shared_ptr<const Model> model, const SessionOptions& options,
                                       const SessionSnapshot& snapshot);

  /// Logits after the last appended token, `[n_vocab]` f32; none after an append that stopped within a chunk.
  [[nodiscard]] std::span<const float> logits() const;

  /// Original indices of the tokens in the cache; of those that any layer holds, where they differ.
  [[nodiscard]] KeepSet held() const;

  /// The same, layer by layer.
  [[nodiscard]] KeepPlan held_by_layer() const;

  /// The record: which original token `layer` holds at which position. Valid until the next call.
  [[nodiscard]] std::span<const HeldRun> record(std::size_t layer = 0) const;

  /// Cells that llama.cpp itself says are occupied, by all sessions of the context, read from
  /// its state and not from our record. O(cells).
  [[nodiscard]] std::int64_t count_occupied_cells() const;

  [[nodiscard]] SessionStats stats() const;
  [[nodiscard]] const Model& model() const noexcept;
  [[nodiscard]] const SessionOptions& options() const noexcept;

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict
