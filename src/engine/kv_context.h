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

/// A llama.cpp context and its cells, for one or several sequences: writes, removes, shifts and
/// moves them, and decides nothing. Positions are checked by the caller's CacheMap.
///
/// Sequences share the cells (forks do), or have a stream of cells each: cells, places, waiting shifts and
/// losses are then those of one sequence, numbers of cells and bytes too, and the context keeps its size.
class KvContext {
 public:
  /// Makes a context of `n_cells` cells, padded up to llama.cpp's multiple of 256.
  /// Errors: kUnsupported, kOutOfMemory, kEngine with llama.cpp's reason.
  /// `scores`: the attention to record; costs time at every decode. `n_outputs`: tokens of a batch whose
  /// logits are kept, at least one for each sequence. `n_streams`: sequences with `n_cells` cells each; 0:
  /// those of `options` share the cells.
  KvContext(std::shared_ptr<const Model> model, const SessionOptions& options, std::int64_t n_cells,
            std::optional<ScoreRequest> scores = std::nullopt, int n_outputs = 0, int n_streams = 0);

  [[nodiscard]] bool has_streams() const noexcept { return n_streams_ > 0; }

  /// Refuses packed and automatic positions where the context cannot shift any. Errors: kUnsupported.
  void require_shifts() const;

  /// A sequence that no one uses. Errors: kInvalidArgument if all `n_sequences` are in use.
  [[nodiscard]] llama_seq_id take_sequence();

  /// Gives a sequence back: its cells are freed.
  void release_sequence(llama_seq_id sequence) noexcept;

  /// Frees its cells.
  void empty_sequence(llama_seq_id sequence) noexcept;

  [[nodiscard]] int n_sequences_in_use() const noexcept;

  /// Makes the empty sequence `to` hold the cells of `from` as well; no row is copied. If keys wait to be
  /// rotated, a token is decoded first and forgotten: llama.cpp rotates only when it decodes. Between streams
  /// the rows are copied.
  void share(llama_seq_id from, llama_seq_id to);

  /// Moves all held cells into a context of `n_cells` cells (padded) and frees the old one. On an
  /// error the old context is there again, whole. Cost: two copies of the held rows. REQUIRES: no streams.
  void resize(std::int64_t n_cells);

  /// Moves the held cells to the front of a new context of the same size, in their order. REQUIRES: no
  /// streams.
  void close_holes() { rebuild(n_cells_); }

  /// Makes room for the logits of `n_tokens` tokens of a batch. If the context was made for fewer, the cells
  /// move into a new one. Errors: as `resize`. REQUIRES: no streams.
  void ensure_outputs(int n_tokens);

  /// Decodes `batch`, at most `n_batch` tokens. Errors: kCancelled, kEngine; the tokens of this call
  /// are then not written. Streams: fewest computations for a batch in the order of its sequences.
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
  [[nodiscard]] std::span<const PositionShift> waiting_shifts(llama_seq_id sequence) const noexcept {
    return cells(sequence).waiting_shifts();
  }

  /// `CellExecutor::keys`: as they lie, rotated for the positions before the shifts that wait.
  [[nodiscard]] StateRows keys(llama_seq_id sequence);

  /// `CellExecutor::put`, `put_into`.
  void put(llama_seq_id sequence, std::span<const std::uint8_t> rows, std::span<const PositionShift> waiting);
  void put_into(llama_seq_id sequence, std::span<const std::uint8_t> rows,
                std::span<const TokenRange> occupied, std::span<const PositionShift> waiting);

  /// The cells of `sequence`, which shares none, if they are known and agree with the state `rows` of them;
  /// else nothing.
  [[nodiscard]] std::vector<TokenRange> occupied_cells(llama_seq_id sequence,
                                                       std::span<const std::uint8_t> rows);

  /// Cells that hold a token of any sequence that may share them with `sequence`, as llama.cpp says.
  /// O(cells).
  [[nodiscard]] std::int64_t count_occupied(llama_seq_id sequence) const {
    return count_cells(context(sequence), has_streams() ? sequence : kAllSequences);
  }

  /// The lowest position that all layers of `sequence` hold, but for what was evicted; -1 if there is none.
  [[nodiscard]] std::int64_t lowest_position(llama_seq_id sequence) const;

  [[nodiscard]] std::int64_t n_cells() const noexcept { return n_cells_; }
  [[nodiscard]] int n_batch() const noexcept { return n_batch_; }
  [[nodiscard]] int n_outputs() const noexcept { return n_outputs_; }
  [[nodiscard]] std::int64_t kv_bytes() const noexcept;
  /// Bytes of the states of all sequences that share the cells, of a model that keeps some; known once a
  /// token was decoded.
  [[nodiscard]] std::int64_t state_bytes() const noexcept;
  [[nodiscard]] std::int64_t kv_bytes_peak() const noexcept { return kv_bytes_peak_; }
  [[nodiscard]] const ThreadCount& threads() const noexcept { return threads_; }
  [[nodiscard]] std::int64_t n_decode_calls() const noexcept { return n_decode_calls_; }
  [[nodiscard]] std::int64_t n_decoded_tokens() const noexcept { return n_decoded_tokens_; }

 private:
  /// Errors: kEngine for cells that were lost: no new context could be made, nor the old one again.
  [[nodiscard]] llama_context* context(llama_seq_id sequence) const;
  [[nodiscard]] CellExecutor& cells(llama_seq_id sequence) noexcept {
    return cells_[has_streams() ? static_cast<std::size_t>(sequence) : 0];
  }
  [[nodiscard]] const CellExecutor& cells(llama_seq_id sequence) const noexcept {
    return cells_[has_streams() ? static_cast<std::size_t>(sequence) : 0];
  }
  [[nodiscard]] std::int64_t n_sharing() const noexcept { return has_streams() ? 1 : std::ssize(is_in_use_); }
  [[nodiscard]] bool is_any_lost() const noexcept;
  [[nodiscard]] bool has_waiting_shifts() const noexcept;

  /// Where streams were lost and no sequence is in use.
  void make_all_anew();
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
  int n_streams_ = 0;
  std::vector<bool> is_in_use_;  // by sequence
  int n_outputs_ = 1;
  std::int64_t n_cells_ = 0;
  int n_batch_ = 0;
  std::int64_t kv_bytes_peak_ = 0;
  std::int64_t n_decode_calls_ = 0;
  std::int64_t n_decoded_tokens_ = 0;
  llama_seq_id recorded_sequence_ = -1;  // whose attention was recorded
  bool records_ = true;                  // the attention of a batch, if there is anything that records
  bool was_shared_ = false;              // by several sequences, since the cells were last moved
  std::vector<CellExecutor> cells_;      // of context_: of each stream, or one
};

}  // namespace kvevict
