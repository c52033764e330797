#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/attention_scores.h"
#include "engine/cell_executor.h"
#include "engine/key_rotator.h"
#include "engine/llama_handles.h"
#include "engine/thread_count.h"
#include "kvevict/session_options.h"

namespace kvevict {

/// A token of a batch: where it goes and whether logits after it are wanted.
struct BatchToken {
  Token token = 0;
  std::int64_t position = 0;
  llama_seq_id sequence = 0;
  bool wants_logits = false;
};

/// Makes a llama.cpp context of `n_cells` cells, a multiple of 256, with room for the logits of `n_outputs`
/// tokens of a batch. `scores`: records attention; outlives the context. Errors: as KvContext's.
[[nodiscard]] LlamaContextHandle make_llama_context(const Model& model, const SessionOptions& options,
                                                    std::int64_t n_cells, int n_outputs,
                                                    AttentionScores* scores = nullptr);

/// A llama.cpp context and its cells, for one or several sequences: writes, removes, shifts and
/// moves them, and decides nothing. Positions are checked by the caller's CacheMap.
class KvContext {
 public:
  /// Makes a context of `n_cells` cells, padded up to llama.cpp's multiple of 256.
  /// Errors: kUnsupported, kOutOfMemory, kEngine with llama.cpp's reason.
  /// `scores`: the attention to record; costs time at every decode. `n_outputs`: tokens of a batch whose
  /// logits are kept, at least one for each sequence.
  KvContext(std::shared_ptr<const Model> model, const SessionOptions& options, std::int64_t n_cells,
            std::optional<ScoreRequest> scores = std::nullopt, int n_outputs = 0);

  /// A sequence that no one uses. Errors: kInvalidArgument if all `n_sequences` are in use.
  [[nodiscard]] llama_seq_id take_sequence();

  /// Gives a sequence back: its cells are freed.
  void release_sequence(llama_seq_id sequence) noexcept;

  [[nodiscard]] int n_sequences_in_use() const noexcept;

  /// Makes the empty sequence `to` hold the cells of `from` as well; no row is copied. If keys wait to be
  /// rotated, a token is decoded first and forgotten: llama.cpp rotates only when it decodes.
  void share(llama_seq_id from, llama_seq_id to);

  /// Moves all held cells into a context of `n_cells` cells (padded) and frees the old one. On an
  /// error the old context is there again, whole. Cost: two copies of the held rows.
  void resize(std::int64_t n_cells);

  /// Moves the held cells to the front of a new context of the same size, in their order.
  void close_holes() { rebuild(n_cells_); }

  /// Makes room for the logits of `n_tokens` tokens of a batch. If the context was made for fewer, the cells
  /// move into a new one. Errors: as `resize`.
  void ensure_outputs(int n_tokens);

  /// Decodes `batch`, at most `n_batch` tokens. Errors: kCancelled, kEngine; the tokens of this call
  /// are then not written.
  void decode(std::span<const BatchToken> batch);

  /// Logits after token `i` of the last batch, which must have wanted them, `[n_vocab]`. Valid until
  /// the next call.
  [[nodiscard]] std::span<const float> logits(std::size_t i) const;

  /// `CellExecutor::carry_out`.
  void carry_out(llama_seq_id sequence, const CellChanges& changes, const KeyRotator* rotator = nullptr);

  /// The attention recorded so far; null if the options ask for none.
  [[nodiscard]] const AttentionScores* scores() const noexcept { return scores_.get(); }

  /// That of the newest queries of `sequence`; null if another's was recorded, or none.
  [[nodiscard]] const AttentionScores* scores_of(llama_seq_id sequence) const noexcept {
    return sequence == recorded_sequence_ ? scores_.get() : nullptr;
  }

  /// Whether the attention of batches from now on is recorded, if the context records any.
  void record_attention(bool is_recorded) noexcept { records_ = is_recorded; }

  /// Goes on from attention that was recorded elsewhere, of cells that were copied from there in their order.
  void take_over(const AttentionScores& scores) { *scores_ = scores; }

  /// `CellExecutor::copy`: rows as they were before the shifts that wait.
  [[nodiscard]] std::vector<std::uint8_t> copy(llama_seq_id sequence);
  [[nodiscard]] std::span<const PositionShift> waiting_shifts() const noexcept {
    return cells_.waiting_shifts();
  }

  /// `CellExecutor::keys`: as they lie, rotated for the positions before the shifts that wait.
  [[nodiscard]] StateRows keys(llama_seq_id sequence);

  /// `CellExecutor::put`, `put_into`.
  void put(llama_seq_id sequence, std::span<const std::uint8_t> rows, std::span<const PositionShift> waiting);
  void put_into(llama_seq_id sequence, std::span<const std::uint8_t> rows,
                std::span<const TokenRange> occupied, std::span<const PositionShift> waiting);

  /// The cells that hold tokens, if that is known and agrees with the state `rows` of all of them; else
  /// nothing.
  [[nodiscard]] std::vector<TokenRange> occupied_cells(std::span<const std::uint8_t> rows);

  /// Cells that hold a token of any sequence, as llama.cpp says. O(cells).
  [[nodiscard]] std::int64_t count_occupied() const { return count_cells(context(), kAllSequences); }

  /// The lowest position that all layers of `sequence` hold, but for what was evicted; -1 if there is none.
  [[nodiscard]] std::int64_t lowest_position(llama_seq_id sequence) const;

  [[nodiscard]] std::int64_t n_cells() const noexcept { return n_cells_; }
  [[nodiscard]] int n_batch() const noexcept { return n_batch_; }
  [[nodiscard]] int n_outputs() const noexcept { return n_outputs_; }
  [[nodiscard]] std::int64_t kv_bytes() const noexcept;
  /// Bytes of the states of all sequences, of a model that keeps some; known once a token was decoded.
  [[nodiscard]] std::int64_t state_bytes() const noexcept;
  [[nodiscard]] std::int64_t kv_bytes_peak() const noexcept { return kv_bytes_peak_; }
  [[nodiscard]] const ThreadCount& threads() const noexcept { return threads_; }
  [[nodiscard]] std::int64_t n_decode_calls() const noexcept { return n_decode_calls_; }
  [[nodiscard]] std::int64_t n_decoded_tokens() const noexcept { return n_decoded_tokens_; }

 private:
  /// Errors: kEngine for a context that was lost: no new one could be made, nor the old one again.
  [[nodiscard]] llama_context* context() const;
  [[nodiscard]] LlamaContextHandle make_context(std::int64_t n_cells) const;
  void install(LlamaContextHandle context, std::int64_t n_cells);
  void rebuild(std::int64_t n_cells);
  void forget(std::span<const BatchToken> batch) noexcept;

  /// Rows that lie beside the cells, in `bytes` of llama.cpp's states, of which `n_states` hold a fixed one.
  void note_copies(std::int64_t bytes, int n_states) noexcept;

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  ThreadCount threads_;
  std::unique_ptr<AttentionScores> scores_;  // outlives the context that fills it
  LlamaContextHandle context_;
  std::vector<bool> is_in_use_;  // by sequence
  int n_outputs_ = 1;
  std::int64_t n_cells_ = 0;
  int n_batch_ = 0;
  std::int64_t kv_bytes_peak_ = 0;
  std::int64_t n_decode_calls_ = 0;
  std::int64_t n_decoded_tokens_ = 0;
  llama_seq_id recorded_sequence_ = -1;  // whose attention was recorded
  bool records_ = true;      // the attention of a batch, if there is anything that records
  bool was_shared_ = false;  // by several sequences, since the cells were last moved
  CellExecutor cells_;       // of context_
};

}  // namespace kvevict
