#include "engine/sequence_record.h"

#include <algorithm>
#include <utility>

namespace kvevict {

PolicyState& SequenceRecord::state_of(const Policy& policy) {
  std::string name = policy.versioned_name() + " " + to_string(policy.spec());
  if (name != policy_name_) {
    policy_name_ = std::move(name);
    policy_state_ = {};
    policy_state_.n_layers = n_layers_;
  }
  return policy_state_;
}

PolicyState& SequenceRecord::stream_of(const Policy& policy) {
  PolicyState& state = state_of(policy);
  if (!state.frozen_middle) state.schedule = Schedule::kStreaming;
  return state;
}

bool SequenceRecord::outgrows(const Policy& policy, std::int64_t n_upcoming) {
  const std::optional<std::int64_t> budget = policy.budget_tokens(state_of(policy));
  return budget && map().n_held() + n_upcoming > *budget + slack(policy);
}

KeepSet SequenceRecord::with_predecessor(const KeepSet& keep) const {
  const std::int64_t newest = map_.n_seen() - 1;
  const bool is_needed = !shifts_when_dropping() && newest >= 0 && map_.held().contains(newest);
  return is_needed ? keep.unite(KeepSet::from_ranges({{newest, newest + 1}})) : keep;
}

bool SequenceRecord::drops_tokens(const KeepPlan& keep) const {
  if (layers_) return layers_->drops_tokens(keep);
  for (const KeepSet& set : keep.distinct_sets()) {
    if (!map_.held().subtract(with_predecessor(set)).empty()) return true;
  }
  return false;
}

CellChanges SequenceRecord::retain(const KeepPlan& keep) {
  CellChanges changes;
  if (is_arranged_by(keep)) {
    LayeredMap layers = layers_ ? *layers_ : LayeredMap(map_, static_cast<std::size_t>(n_layers_));
    changes.arrangement = layers.retain(keep, shifts_when_dropping());
    layers_ = std::move(layers);
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
  return positions_ == PositionMode::kAuto && n_context_trained_ > 0 &&
         map().next_position() + n_upcoming > n_context_trained_ && map().next_position() > map().n_held();
}

CellChanges SequenceRecord::pack() {
  CellChanges changes;
  if (layers_ || keeps_slots_) {
    if (!layers_) layers_ = LayeredMap(map_, static_cast<std::size_t>(n_layers_));
    changes.arrangement = layers_->retain(layers_->held(), true);
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
  // What a policy remembers of the tokens that are gone would be laid over those that come in their place.
  if (auto& middle = policy_state_.frozen_middle) {
    middle = middle->intersect(KeepSet::all(n_tokens));
    if (middle->empty()) middle.reset();
  }
  if (auto& ladder = policy_state_.ladder; ladder && ladder->n_tokens_seen > n_tokens) {
    ladder->kept = held();
    ladder->n_tokens_seen = n_tokens;
  }
  return changes;
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
  *this = SequenceRecord(positions_, n_slack_, n_context_trained_, n_layers_, keeps_slots_);
}

void SequenceRecord::restore(CacheMap map, std::optional<LayeredMap> layers, std::string policy_name,
                             PolicyState policy_state) {
  map_ = std::move(map);
  layers_ = std::move(layers);
  policy_name_ = std::move(policy_name);
  policy_state_ = std::move(policy_state);
  policy_state_.n_layers = n_layers_;
  n_held_peak_ = this->map().n_held();
}

}  // namespace kvevict
