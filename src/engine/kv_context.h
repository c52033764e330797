#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/attention_scores.h"
#include "engine/cells.h"
#include "engine/key_turner.h"
#include "engine/layered_map.h"
#include "engine/llama_handles.h"
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
  KvContext(std::shared_ptr<const Model> model, const SessionOptions& options, std::int64_t n_cells);

  /// A sequence that no one uses. Errors: kInvalidArgument where all `n_sequences` are in use.
  [[nodiscard]] llama_seq_id take_sequence();

  /// Gives a sequence back: its cells are freed.
  void release_sequence(llama_seq_id sequence) noexcept;

  [[nodiscard]] int n_sequences_in_use() const noexcept;

  /// Makes the empty sequence `to` hold the cells of `from` as well; no row is copied. Keys that
  /// wait to be turned are turned first: that decodes one token, which is forgotten.
  void share(llama_seq_id from, llama_seq_id to);

  /// Moves all held cells into a context of `n_cells` cells (padded) and frees the old one. On an
  /// error the old context is there again, whole. Cost: two copies of the held rows.
  void resize(std::int64_t n_cells);

  /// Moves the held cells to the front of a new context of the same size, in their order.
  void close_holes() { rebuild(n_cells_); }

  /// Makes room for the logits of `n_tokens` tokens of a batch: moves the cells where the context was
  /// made for fewer. Errors: as `resize`.
  void ensure_outputs(int n_tokens);

  /// Decodes `batch`, at most `n_batch` tokens. Errors: kCancelled, kEngine; the tokens of this call
  /// are then not written.
  void decode(std::span<const BatchToken> batch);

  /// Logits after token `i` of the last batch, which must have wanted them, `[n_vocab]`. Valid until
  /// the next call.
  [[nodiscard]] std::span<const float> logits(std::size_t i) const;

  void remove(llama_seq_id sequence, std::span<const PositionRange> positions);

  /// Shifts positions. REQUIRES: no other sequence is in use (shared keys cannot turn twice).
  void shift(llama_seq_id sequence, std::span<const PositionShift> shifts);

  /// Arranges the cells of `sequence` anew, layer by layer, through llama.cpp's session state. On an error
  /// the cells are as they were. Cost: two copies of the held rows. Errors: kUnsupported (a cache whose
  /// state is not of the known form; keys that cannot be turned), kInvalidArgument, kEngine.
  /// REQUIRES: no other sequence shares its cells.
  /// `turner` may be null where no key turns.
  void arrange(llama_seq_id sequence, const CellArrangement& arrangement, const KeyTurner* turner);

  /// The attention recorded so far; null where the options ask for none.
  [[nodiscard]] const AttentionScores* scores() const noexcept { return scores_.get(); }

  /// `copy_rows` as it was before the shifts that wait for the next decode: these are for the one
  /// who puts the rows elsewhere to repeat.
  [[nodiscard]] std::vector<std::uint8_t> copy(llama_seq_id sequence);
  [[nodiscard]] std::span<const PositionShift> waiting_shifts() const noexcept { return waiting_shifts_; }

  /// `put_rows`.
  void put(llama_seq_id sequence, std::span<const std::uint8_t> rows);

  /// Cells that hold a token of any sequence, as llama.cpp says. O(cells).
  [[nodiscard]] std::int64_t count_occupied() const { return count_cells(context_.get(), kAllSequences); }

  [[nodiscard]] std::int64_t n_cells() const noexcept { return n_cells_; }
  [[nodiscard]] int n_batch() const noexcept { return n_batch_; }
  [[nodiscard]] std::int64_t kv_bytes() const noexcept;
  [[nodiscard]] std::int64_t kv_bytes_peak() const noexcept { return kv_bytes_peak_; }
  [[nodiscard]] std::int64_t n_decode_calls() const noexcept { return n_decode_calls_; }
  [[nodiscard]] std::int64_t n_decoded_tokens() const noexcept { return n_decoded_tokens_; }

 private:
  [[nodiscard]] LlamaContextHandle make_context(std::int64_t n_cells) const;
  void install(LlamaContextHandle context, std::int64_t n_cells);
  void rebuild(std::int64_t n_cells);
  void forget(std::span<const BatchToken> batch);

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  std::unique_ptr<AttentionScores> scores_;  // outlives the context that fills it
  LlamaContextHandle context_;
  std::vector<bool> is_in_use_;  // by sequence
  int n_outputs_ = 1;
  std::int64_t n_cells_ = 0;
  int n_batch_ = 0;
  std::int64_t kv_bytes_peak_ = 0;
  std::int64_t n_decode_calls_ = 0;
  std::int64_t n_decoded_tokens_ = 0;
  llama_seq_id shifted_sequence_ = 0;
  std::vector<PositionShift> waiting_shifts_;  // positions are shifted, keys not yet turned
};

}  // namespace kvevict
