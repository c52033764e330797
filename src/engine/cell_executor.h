#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/attention_scores.h"
#include "engine/cell_places.h"
#include "engine/cells.h"
#include "engine/sequence_record.h"
#include "engine/state_rows.h"

namespace kvevict {

class KeyRotator;

/// Carries out on llama.cpp's cells what a record says: the one place that does, for a `Session`'s own
/// context and for a program's context (`LlamaCache`). Decides nothing. Borrows the context, or in one whose
/// sequences have streams of cells of their own one stream of it. Thread safety: as the context's.
class CellExecutor {
 public:
  /// `places`: known for a context that is empty now and that no one else writes to. `scores`: recorded
  /// attention that follows the cells; may be null.
  explicit CellExecutor(llama_context* context, CellPlaces places = {}, AttentionScores* scores = nullptr);

  /// Removes, shifts and arranges the cells of `sequence`. Everything that may fail comes before the first
  /// change, or is undone: on any exception the cells are as they were. `rotator` may be null if no key
  /// rotates. Errors: kUnsupported (a cache whose state is not of the known form; keys that cannot be
  /// rotated; single tokens that cannot be dropped), kInvalidArgument, kEngine. Cost: of an arrangement, two
  /// copies of the held rows. REQUIRES, for shifts and arrangements: no other sequence shares the cells.
  void carry_out(llama_seq_id sequence, const CellChanges& changes, const KeyRotator* rotator = nullptr);

  /// `copy_rows` as it was before the shifts that wait for the next decode: who puts the rows elsewhere
  /// repeats them.
  [[nodiscard]] std::vector<std::uint8_t> copy(llama_seq_id sequence);

  /// The keys of `sequence` as they lie in the cells: rotated for the positions before the shifts that wait.
  /// `n_bytes`: as of `copy_keys`. Errors: kUnsupported for a state that is not known.
  [[nodiscard]] StateRows keys(llama_seq_id sequence, std::int64_t n_bytes) const;

  /// `put_rows`, then the shifts that wait.
  void put(llama_seq_id sequence, std::span<const std::uint8_t> rows, std::span<const PositionShift> waiting);

  /// Puts rows into the cells `occupied` of an empty context, one row for each, in their order, and leaves
  /// the cells between them free. Errors: kBadData, kUnsupported.
  void put_into(llama_seq_id sequence, std::span<const std::uint8_t> rows,
                std::span<const TokenRange> occupied, std::span<const PositionShift> waiting);

  /// Shifts positions; the keys rotate at the next decode.
  void shift(llama_seq_id sequence, std::span<const PositionShift> shifts);

  /// The next decode carried out the shifts that waited.
  void shifts_done() noexcept { waiting_shifts_.clear(); }
  void written(std::int64_t first_position, std::int64_t n_tokens) noexcept {
    places_.written(first_position, n_tokens);
  }

  /// Recorded attention that follows the cells from now on; may be null.
  void follow(AttentionScores* scores) noexcept { scores_ = scores; }

  /// Frees the cells of `positions`, which a decode that failed may have written. Never throws.
  void forget(llama_seq_id sequence, PositionRange positions) noexcept;

  [[nodiscard]] std::span<const PositionShift> waiting_shifts() const noexcept { return waiting_shifts_; }
  [[nodiscard]] llama_seq_id shifted_sequence() const noexcept { return shifted_sequence_; }
  [[nodiscard]] CellPlaces& places() noexcept { return places_; }

  /// Whether llama.cpp failed within a shift, or while it changed a fixed state: what it holds does not hold
  /// together any more.
  [[nodiscard]] bool is_lost() const noexcept { return is_lost_; }
  void lose() noexcept { is_lost_ = true; }

  [[nodiscard]] StateForm form() const noexcept { return form_; }

  /// Bytes of rows that the last arrangement held beside the cells.
  [[nodiscard]] std::int64_t bytes_copied() const noexcept { return bytes_copied_; }

 private:
  void arrange(llama_seq_id sequence, const CellArrangement& arrangement, const KeyRotator* rotator);
  void put_back_rows(llama_seq_id sequence, std::span<const std::uint8_t> rows);
  void remove_and_shift(llama_seq_id sequence, const CellChanges& changes);

  llama_context* context_;
  StateForm form_;  // of the context's state
  CellPlaces places_;
  AttentionScores* scores_;
  llama_seq_id shifted_sequence_ = 0;
  std::vector<PositionShift> waiting_shifts_;  // positions are shifted, keys not yet rotated
  std::int64_t bytes_copied_ = 0;
  bool is_lost_ = false;
};

}  // namespace kvevict
