#include "engine/sequence_record.h"

#include <algorithm>
#include <utility>

namespace kvevict {

PolicyState SequenceRecord::fresh_state() const {
  return {.n_layers = setting_.n_layers, .layers_may_differ = layers_may_differ()};
}

PolicyState SequenceRecord::streaming_state() const {
  PolicyState state = state_;
  if (!state.memory || !state.memory->has_frozen()) state.schedule = Schedule::kStreaming;
  return state;
}

void SequenceRecord::begin_stream() {
  state_ = streaming_state();
}

void SequenceRecord::rebind(std::shared_ptr<const Policy> policy, PositionMode positions) {
  policy_ = std::move(policy);
  setting_.positions = positions;
  setting_.keeps_slots = policy_->score_request().has_value();
  state_ = fresh_state();
}

bool SequenceRecord::outgrows(std::int64_t n_upcoming) const {
  const std::optional<std::int64_t> budget = policy_->budget_tokens(state_);
  return budget && map().n_held() + n_upcoming > *budget + slack();
}

KeepSet SequenceRecord::with_predecessor(const KeepSet& keep) const {
  const std::int64_t newest = map_.n_seen() - 1;
  const bool is_asked = !shifts_when_dropping() || setting_.keeps_newest;
  const bool is_needed = is_asked && newest >= 0 && map_.held().contains(newest);
  return is_needed ? keep.unite(KeepSet::from_ranges({{newest, newest + 1}})) : keep;
}

bool SequenceRecord::drops_tokens(const KeepPlan& keep) const {
  if (layers_) return layers_->drops_tokens(keep);
  for (const KeepSet& set : keep.distinct_sets()) {
    if (!map_.held().subtract(with_predecessor(set)).empty()) return true;
  }
  return false;
}

CellArrangement SequenceRecord::arrange(const KeepPlan& keep, bool pack) {
  LayeredMap layers = layers_ ? *layers_ : LayeredMap(map_, static_cast<std::size_t>(setting_.n_layers));
  CellArrangement arrangement = layers.retain(keep, pack);
  if (holds_layers_apart() || !keep.is_shared()) {
    layers_ = std::move(layers);
  } else {
    map_ = layers.layer(0);  // all layers hold the same still: cells can go one by one again
  }
  return arrangement;
}

CellChanges SequenceRecord::retain(const KeepPlan& keep) {
  CellChanges changes;
  if (is_arranged_by(keep)) {
    changes.arrangement = arrange(keep, shifts_when_dropping());
    ++n_evictions_;
    if (shifts_when_dropping()) ++n_packs_;
    return changes;
  }
  changes.removed = map_.retain(with_predecessor(keep.layer(0)));
  if (changes.removed.empty()) return changes;
  ++n_evictions_;
  if (shifts_when_dropping()) changes.shifts = pack().shifts;
  return changes;
}

bool SequenceRecord::must_pack(std::int64_t n_upcoming) const noexcept {
  return setting_.positions == PositionMode::kAuto && setting_.n_context_trained > 0 &&
         map().next_position() + n_upcoming > setting_.n_context_trained &&
         map().next_position() > map().n_held();
}

CellChanges SequenceRecord::pack() {
  CellChanges changes;
  if (holds_layers_apart() || setting_.moves_by_rows) {
    changes.arrangement = arrange(held(), true);
    ++n_packs_;
    return changes;
  }
  changes.shifts = map_.pack();
  if (!changes.shifts.empty()) ++n_packs_;
  return changes;
}

CellChanges SequenceRecord::trim(std::int64_t n_tokens) {
  CellChanges changes;
  changes.removed = layers_ ? layers_->trim(n_tokens) : map_.trim(n_tokens);
  if (state_.memory) state_.memory->trim(n_tokens, held());
  return changes;
}

void SequenceRecord::prepare_written() {
  if (layers_) {
    layers_->prepare_append();
  } else {
    map_.prepare_append();
  }
}

void SequenceRecord::written(std::int64_t n_tokens) {
  if (layers_) {
    layers_->append(n_tokens);
  } else {
    map_.append(n_tokens);
  }
  n_held_peak_ = std::max(n_held_peak_, map().n_held());
}

void SequenceRecord::clear() {
  *this = SequenceRecord(policy_, setting_);
}

void SequenceRecord::restore(CacheMap map, std::optional<LayeredMap> layers, PolicyState state) {
  map_ = std::move(map);
  layers_ = std::move(layers);
  state_ = std::move(state);
  state_.n_layers = setting_.n_layers;
  state_.layers_may_differ = layers_may_differ();
  n_held_peak_ = this->map().n_held();
}

}  // namespace kvevict
