#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/key_form.h"
#include "engine/kv_context.h"
#include "engine/sequence_record.h"
#include "kvevict/session.h"

namespace kvevict {

/// A session: its record, and its sequence in a context that forks share.
struct KVEVICT_PRIVATE Session::Impl {
  /// `options_in`: resolved.
  Impl(std::shared_ptr<const Model> model_in, std::shared_ptr<const Policy> policy,
       const SessionOptions& options_in);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::shared_ptr<const Model> model;
  SessionOptions options;                         // resolved
  std::optional<PositionMode> asked_positions{};  // of the options as they were given
  SequenceRecord record;
  std::shared_ptr<KvContext> context;  // empty until the first token
  llama_seq_id sequence = 0;
  std::unique_ptr<KeyRotator> key_rotator;  // empty until keys of single layers must rotate
  std::shared_ptr<const KeyForm> key_form;  // empty unless the policy asks for keys without rotation
  std::vector<float> logits;

  /// Whether the session lives in a pool, in cells of its own that never move or grow.
  [[nodiscard]] bool is_pooled() const { return context && context->has_streams(); }

  /// Whether no other session shares its cells.
  [[nodiscard]] bool has_own_cells() const { return is_pooled() || context->n_sequences_in_use() == 1; }

  /// Whether the context is there for this session alone, to be moved and sized as it needs.
  [[nodiscard]] bool has_own_context() const { return !is_pooled() && has_own_cells(); }

  /// Makes sure that the session may come to hold `n_tokens_held` tokens. Errors: as
  /// `Session::reserve`.
  void ensure_cells(std::int64_t n_tokens_held);

  /// Whether `n_upcoming` more tokens need an eviction: by the policy's budget, or the cells of a pool.
  [[nodiscard]] bool must_evict(std::int64_t n_upcoming) const;

  [[nodiscard]] const Policy& policy() const noexcept { return record.policy(); }

  /// What the policy keeps once `n_upcoming` more tokens have been seen, with the attention that it asks for.
  /// Errors: those of the policy.
  [[nodiscard]] KeepPlan plan(std::int64_t n_upcoming);

  /// Removes what `keep` lacks and closes the gaps if positions are packed. Returns whether
  /// tokens went.
  bool retain(const KeepPlan& keep);

  /// Changes the record and then the cells as it says; on an error the record is as it was.
  void change(const std::function<CellChanges()>& change_record);

  /// Makes sure that keys can be rotated layer by layer. Errors: as `checked_key_rotator`.
  void require_key_rotator();

  /// Makes sure of the rotator if the policy will need it. Errors: as `checked_key_rotator`.
  void require_rotations();

  /// Refuses a policy for a fork whose attention is not there. Errors: kUnsupported.
  void require_recorded(const Policy& policy) const;

  /// The attention that its context records; nothing if none is asked for.
  [[nodiscard]] std::optional<ScoreRequest> recorded_attention() const;

  /// Makes sure that the keys which the policy asks for can be read. Errors: kUnsupported.
  void require_keys();

  /// Packs automatic positions if `n_upcoming` tokens would pass the trained context. What must move out of a
  /// shared context for it has cells for `n_reserve` >= n_upcoming more tokens afterwards.
  void pack_if_needed(std::int64_t n_upcoming, std::int64_t n_reserve);

  /// Moves to a context of its own of `n_cells` cells.
  void move_out(std::int64_t n_cells);

  /// Takes over what was saved, into a new context or the sequence that the session has. Errors: as
  /// `Session::restore`.
  void restore(const SessionSnapshot& snapshot);

  /// Errors: as `require_trained_positions`, for `n_tokens` more tokens.
  void require_positions(std::int64_t n_tokens) const;

  /// Refuses to go back to `n_tokens` tokens if windows no longer hold what comes before. Errors:
  /// kUnsupported.
  void require_windows(std::int64_t n_tokens) const;

  /// Errors: kInvalidArgument if `n_tokens` more would pass the last position that llama.cpp can count.
  void require_countable(std::int64_t n_tokens) const;

  void throw_if_cancelled() const;

  /// Decodes `tokens`, which fit, in batches, and tells their probabilities as `append` says.
  void decode(std::span<const Token> tokens, const AppendOptions& append);

  void append_bounded(std::span<const Token> tokens, const AppendOptions& append);

  /// What a bounded append does before each of its chunks: evicts, so that `n_tokens` fit.
  void begin_chunk(std::int64_t n_tokens);

  /// Cells that are needed to append `tokens` bounded. Errors: as `append_bounded`.
  [[nodiscard]] std::int64_t cells_for_bounded(std::int64_t n_tokens, const AppendOptions& append) const;

  /// Cells that are needed from now on, after an eviction.
  [[nodiscard]] std::int64_t cells_needed(const EvictOptions& evict) const;

 private:
  void decode_batch(std::span<const Token> tokens, bool is_last, const AppendOptions& append);
  void tell(const AppendOptions& append, std::int64_t index, std::span<const float> before,
            Token token) const;
};

}  // namespace kvevict
