#include "engine/sequence_record.h"

#include <algorithm>
#include <utility>

namespace kvevict {

PolicyState& SequenceRecord::state_of(const Policy& policy) {
  std::string name = policy.versioned_name() + " " + to_string(policy.spec());
  if (name != policy_name_) {
    policy_name_ = std::move(name);
    policy_state_ = {};
  }
  return policy_state_;
}

PolicyState& SequenceRecord::stream_of(const Policy& policy) {
  PolicyState& state = state_of(policy);
  if (!state.frozen_middle) state.schedule = Schedule::kStreaming;
  return state;
}

std::optional<KeepSet> SequenceRecord::plan_if_full(const Policy& policy, std::int64_t n_upcoming) {
  PolicyState& state = state_of(policy);
  const std::optional<std::int64_t> budget = policy.budget_tokens(state);
  if (!budget || map_.n_held() + n_upcoming <= *budget + slack()) return std::nullopt;
  return policy.plan(map_.n_seen() + n_upcoming, state).layer(0);
}

KeepSet SequenceRecord::with_predecessor(const KeepSet& keep) const {
  const std::int64_t newest = map_.n_seen() - 1;
  const bool is_needed = !shifts_when_dropping() && newest >= 0 && map_.held().contains(newest);
  return is_needed ? keep.unite(KeepSet::from_ranges({{newest, newest + 1}})) : keep;
}

bool SequenceRecord::drops_tokens(const KeepSet& keep) const {
  return !map_.held().subtract(with_predecessor(keep)).empty();
}

CellChanges SequenceRecord::retain(const KeepSet& keep) {
  CellChanges changes;
  changes.removed = map_.retain(with_predecessor(keep));
  if (changes.removed.empty()) return changes;
  ++n_evictions_;
  if (shifts_when_dropping()) changes.shifts = pack().shifts;
  return changes;
}

bool SequenceRecord::must_pack(std::int64_t n_upcoming) const noexcept {
  return positions_ == PositionMode::kAuto && n_context_trained_ > 0 &&
         map_.next_position() + n_upcoming > n_context_trained_ && map_.next_position() > map_.n_held();
}

CellChanges SequenceRecord::pack() {
  CellChanges changes;
  changes.shifts = map_.pack();
  if (!changes.shifts.empty()) ++n_packs_;
  return changes;
}

CellChanges SequenceRecord::trim(std::int64_t n_tokens) {
  CellChanges changes;
  changes.removed = map_.trim(n_tokens);
  return changes;
}

void SequenceRecord::written(std::int64_t n_tokens) {
  map_.append(n_tokens);
  n_held_peak_ = std::max(n_held_peak_, map_.n_held());
}

void SequenceRecord::clear() {
  *this = SequenceRecord(positions_, n_slack_, n_context_trained_);
}

void SequenceRecord::restore(CacheMap map, std::string policy_name, PolicyState policy_state) {
  map_ = std::move(map);
  policy_name_ = std::move(policy_name);
  policy_state_ = std::move(policy_state);
  n_held_peak_ = map_.n_held();
}

}  // namespace kvevict
