#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kvevict/export.h"
#include "kvevict/model.h"
#include "kvevict/policy.h"
#include "kvevict/session_options.h"

namespace KVEVICT_PUBLIC kvevict {

struct SessionSnapshot;

/// One sequence of tokens in a llama.cpp context, and the policy that decides which of them stay.
///
/// Owner: owns its context, or shares it with the sessions forked from it or of its pool; shares the model.
/// Thread safety: one thread at a time, for all sessions of a context together.
/// Errors leave the session as it was before the call, unless a member says otherwise.
class Session {
 public:
  /// Makes no context yet. Errors: those of `resolved_options`; kInvalidArgument for a null pointer;
  /// kUnsupported if the policy needs what the model's cache cannot do: other tokens in each layer, keys that
  /// ggml cannot rotate.
  Session(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
          const SessionOptions& options = {});
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  /// Makes sure that `n_tokens` more tokens can be appended without the context being enlarged.
  /// Errors: kInvalidArgument if more tokens would be held than the trained context has,
  /// kOutOfMemory.
  void reserve(std::int64_t n_tokens);

  /// Decodes `tokens` behind what the session has seen and writes their K and V. O(tokens x held).
  /// A bounded append (`SessionOptions::prefill`) makes the context once, of budget + chunk cells padded to
  /// llama.cpp's 256 (fewer for a text that is known to be shorter, `AppendOptions::n_to_come`), uses freed
  /// cells again, and nothing grows with the tokens seen. The first
  /// bounded append before any eviction makes the policy streaming (`Schedule::kStreaming`) for
  /// this session; after a one-shot eviction the frozen middle stays. O(tokens x budget).
  /// Errors: those of `reserve`; kInvalidArgument for absolute positions that would pass the trained context
  /// (`SessionOptions::past_trained_context`), for a policy without a bound in a stream and for a budget
  /// and chunk that the trained context cannot hold; kCancelled, kEngine and what a callback throws: tokens
  /// of earlier batches of this call stay appended, the others are not.
  void append(std::span<const Token> tokens, const AppendOptions& options = {});

  /// Appends to each session its tokens, with one llama_decode for all sessions of a context or pool: a token
  /// of each running answer and a chunk of another's prompt. Each session then has the logits after its last
  /// token. Sessions of a context that together pass `n_batch` are decoded in several calls, each session's
  /// tokens in one. Errors: as `append`, and kInvalidArgument for a session that is null or named twice and
  /// for more than `n_batch` tokens of one: before anything changes; a call that fails leaves its sessions
  /// and those of later calls without their tokens (but evicted, where a bounded prefill does so first).
  static void append_each(std::span<const SessionTokens> all);

  /// The same with `tokens[i]` for `sessions[i]`.
  static void append_each(std::span<Session* const> sessions, std::span<const Token> tokens);

  /// Evicts in place if `n_upcoming` more tokens would pass the policy's budget (and, packed, the
  /// decode slack), or the cells of its pool: what `generate` does before every token. Returns whether tokens
  /// went.
  bool make_room(std::int64_t n_upcoming = 1);

  /// Asks the policy for a plan, removes what it drops, and moves the kept cells into a context of the right
  /// size, so that the memory is given back and later tokens attend over the kept tokens only (a context that
  /// other sessions share, and a pool, is neither moved nor shrunk). A plan that drops nothing changes
  /// nothing. Peak: the old cells and a copy of the kept rows, then that copy and the new cells. llama.cpp
  /// needs a token's predecessor in the cache. If the plan drops it (recent_tokens 1, absolute positions), it
  /// stays until the next token has been written.
  EvictionReport evict(const EvictOptions& options = {});

  /// Samples from the logits of the last appended token and goes on from there. The last new
  /// token is returned but not appended. What is drawn depends on the seed, the token's index, the logits and
  /// `recent` alone, so stopping, saving and going on gives the same tokens; not within a grammar, which
  /// begins anew with each call. Errors: those of `append` and `require_grammar`; kInvalidArgument for an
  /// option out of its range, and for a grammar with `ignores_end`; kUnsupported if a grammar allows no token
  /// to come next. REQUIRES: something was appended.
  Generation generate(const GenerateOptions& options = {});

  /// Another session with the same tokens, record and logits, in the same context: no cell is copied. Both
  /// attend over the union of their cells until one of them is detached. Packing positions moves a session to
  /// a context of its own first (a key that two sessions share has one rotation). `policy`: decides for the
  /// other session from now on, with a memory that begins here; null: this session's. Errors:
  /// kInvalidArgument if the context already has `n_sequences` sessions; kUnsupported for a policy that
  /// chooses by attention that was not recorded (`SessionOptions::n_recorded_queries`).
  [[nodiscard]] Session fork(std::shared_ptr<const Policy> policy = nullptr);

  /// Moves the session to a context of its own, of the cells that it holds and `n_reserve` more.
  /// Cost: two copies of its rows. Errors: kOutOfMemory, kEngine.
  void detach(std::int64_t n_reserve = 0);

  /// Forgets the tokens from index `n_tokens` on; `logits()` is empty until the next append.
  /// Errors: kInvalidArgument if token n_tokens − 1 is gone, or layers would hold unequally many tokens;
  /// kUnsupported for a model that keeps a state, which goes back to none but the beginning.
  void trim(std::int64_t n_tokens);

  /// Forgets every token and every plan; keeps the cells allocated.
  void clear();

  /// A copy of everything that a later session needs to go on: O(held) bytes (see `save_session`).
  [[nodiscard]] SessionSnapshot snapshot();

  /// A session that goes on where `snapshot` was taken. Errors: kInvalidArgument (another model, llama.cpp,
  /// policy, element type or positions than the snapshot's), kBadData (another flash attention; a record that
  /// contradicts itself or the cells), kUnsupported (attention), and those of the constructor.
  [[nodiscard]] static Session restore(std::shared_ptr<const Model> model,
                                       std::shared_ptr<const Policy> policy, const SessionOptions& options,
                                       const SessionSnapshot& snapshot);

  /// Logits after the last appended token, `[n_vocab]` f32; none after an append that stopped within a chunk.
  [[nodiscard]] std::span<const float> logits() const;

  /// Original indices of the tokens in the cache; if layers differ, of those that any layer holds.
  [[nodiscard]] KeepSet held() const;

  /// The same, layer by layer.
  [[nodiscard]] KeepPlan held_by_layer() const;

  /// The record: which original token `layer` holds at which position. Valid until the next call.
  /// Errors: kInvalidArgument for a layer that the model lacks.
  [[nodiscard]] std::span<const HeldRun> record(std::size_t layer = 0) const;

  /// Cells that llama.cpp itself says are occupied, by all sessions of the context, read from
  /// its state and not from our record. O(cells).
  [[nodiscard]] std::int64_t count_occupied_cells() const;

  [[nodiscard]] SessionStats stats() const;
  [[nodiscard]] const Model& model() const noexcept;
  [[nodiscard]] const Policy& policy() const noexcept;

  /// As `resolved_options` made them.
  [[nodiscard]] const SessionOptions& options() const noexcept;

 private:
  friend class AnswerDraw;
  friend class SessionPool;
  struct Impl;
  struct Batches;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict
