#include "engine/cell_executor.h"

#include <algorithm>

#include "base/scope_guard.h"
#include "engine/key_rotator.h"
#include "kvevict/error.h"

namespace kvevict {

CellExecutor::CellExecutor(llama_context* context, CellPlaces places, AttentionScores* scores)
    : context_(context),
      form_(context == nullptr ? StateForm{} : state_form_of(llama_get_model(context))),
      places_(std::move(places)),
      scores_(scores) {}

void CellExecutor::carry_out(llama_seq_id sequence, const CellChanges& changes, const KeyRotator* rotator) {
  if (changes.arrangement) arrange(sequence, *changes.arrangement, rotator);
  remove_and_shift(sequence, changes);
}

void CellExecutor::arrange(llama_seq_id sequence, const CellArrangement& arrangement,
                           const KeyRotator* rotator) {
  const StateRows rows(copy(sequence), form_);
  // A shift that waits would rotate all layers alike, but the rows of a slot come from different slots: its
  // rotations become part of the arrangement, and nothing waits any more.
  CellArrangement rotated = arrangement;
  add_waiting_rotations(rotated, rows.positions(), waiting_shifts_);
  if (rotator == nullptr && rotates_keys(rotated))
    throw Error(ErrorCode::kEngine, "keys would have to rotate and nothing rotates them");
  const std::vector<std::uint8_t> after = rows.arranged(rotated, rotator);
  AttentionScores scores = scores_ != nullptr ? *scores_ : AttentionScores({}, {});
  if (scores_ != nullptr) scores.arrange(rotated);
  bytes_copied_ = static_cast<std::int64_t>(rows.bytes().size() + after.size());
  const OnFailure put_back([&] {
    places_.forget();  // the holes are closed then
    put_back_rows(sequence, rows.bytes());
  });
  put_rows(context_, sequence, after);
  waiting_shifts_.clear();
  places_.filled(rotated.positions);
  if (scores_ != nullptr) *scores_ = std::move(scores);
}

void CellExecutor::put_back_rows(llama_seq_id sequence, std::span<const std::uint8_t> rows) {
  // If the rows do not go back either, nothing may go on from what is there.
  const OnFailure lose([this] { is_lost_ = true; });
  if (n_streams(context_) > 1) {  // other sequences are not touched
    llama_memory_seq_rm(llama_get_memory(context_), sequence, -1, -1);
  } else {
    // What llama.cpp began and could not end may have left cells of no sequence: all of them are freed.
    llama_memory_clear(llama_get_memory(context_), false);
  }
  put_rows(context_, sequence, rows);
  shift_positions(context_, sequence, waiting_shifts_);
}

void CellExecutor::remove_and_shift(llama_seq_id sequence, const CellChanges& changes) {
  if (changes.removed.empty() && changes.shifts.empty()) return;
  std::int64_t n_before = 0;
  std::int64_t n_removed = 0;
  for (const PositionRange& range : changes.removed) n_removed += range.end - range.begin;
  if (scores_ != nullptr) n_before = count_cells(context_, kAllSequences);
  waiting_shifts_.reserve(waiting_shifts_.size() + changes.shifts.size());
  remove_positions(context_, sequence, changes.removed);  // throws before the first removal or never
  // llama.cpp's own records of positions allocate while they shift. If that fails they no longer hold
  // together, and the rows that were removed are gone: nothing can be put back, and nothing may go on from
  // there.
  const OnFailure lose([this] { is_lost_ = true; });
  for (const PositionRange& range : changes.removed) places_.removed(range);
  if (scores_ != nullptr && n_removed > 0) {
    const std::int64_t n_left = std::max<std::int64_t>(0, n_before - n_removed);
    scores_->trim(static_cast<std::size_t>(n_before), static_cast<std::size_t>(n_left));
  }
  shift(sequence, changes.shifts);
}

void CellExecutor::shift(llama_seq_id sequence, std::span<const PositionShift> shifts) {
  if (shifts.empty()) return;
  waiting_shifts_.reserve(waiting_shifts_.size() + shifts.size());
  shift_positions(context_, sequence, shifts);
  for (const PositionShift& s : shifts) places_.shifted(s);
  shifted_sequence_ = sequence;
  waiting_shifts_.insert(waiting_shifts_.end(), shifts.begin(), shifts.end());
}

std::vector<std::uint8_t> CellExecutor::copy(llama_seq_id sequence) {
  // Keys that wait to be rotated would be copied with their new positions but the old rotation:
  // take the shift back, copy, and shift again.
  std::vector<PositionShift> backwards;
  for (auto s = waiting_shifts_.rbegin(); s != waiting_shifts_.rend(); ++s) {
    backwards.push_back({{s->positions.begin + s->delta, s->positions.end + s->delta}, -s->delta});
  }
  shift_positions(context_, shifted_sequence_, backwards);
  const OnExit shift_again([&] { shift_positions(context_, shifted_sequence_, waiting_shifts_); });
  return copy_rows(context_, sequence);
}

StateRows CellExecutor::keys(llama_seq_id sequence, std::int64_t n_bytes) const {
  return StateRows(copy_keys(context_, sequence, n_bytes), form_up_to_keys(form_));
}

void CellExecutor::put(llama_seq_id sequence, std::span<const std::uint8_t> rows,
                       std::span<const PositionShift> waiting) {
  const std::optional<std::vector<std::int64_t>> positions = positions_of_rows(rows, form_);
  put_rows(context_, sequence, rows);
  if (positions) {
    places_.filled(*positions);
  } else {
    places_.forget();
  }
  shift(std::max<llama_seq_id>(sequence, 0), waiting);
}

void CellExecutor::put_into(llama_seq_id sequence, std::span<const std::uint8_t> rows,
                            std::span<const TokenRange> occupied, std::span<const PositionShift> waiting) {
  if (!places_.is_known() || form_.has_index || occupied.size() < 1 ||
      (occupied.size() == 1 && occupied.front().begin == 0)) {
    put(sequence, rows, waiting);
    return;
  }
  // llama.cpp reads a state into the cells from 0 on. Rows that stand for the free cells keep the others
  // apart, and are removed again: behind all real positions, where they are told from them.
  const StateWithHoles state = with_holes(rows, form_, occupied);
  put_rows(context_, sequence, state.bytes);
  places_.filled(state.positions);
  const PositionRange stand_ins[] = {state.stand_ins};
  remove_positions(context_, sequence, stand_ins);
  places_.removed(state.stand_ins);
  shift(sequence, waiting);
}

void CellExecutor::forget(llama_seq_id sequence, PositionRange positions) noexcept {
  llama_memory_seq_rm(llama_get_memory(context_), sequence, static_cast<llama_pos>(positions.begin),
                      static_cast<llama_pos>(positions.end));
  places_.removed(positions);
  if (scores_ != nullptr) scores_->discard();
}

}  // namespace kvevict
