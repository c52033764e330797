#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache_map.h"
#include "engine/layered_map.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/policy.h"

namespace kvevict {

/// What is to be done to the cells of a sequence: first the removals, then the shifts; or, where
/// layers differ, all rows anew.
struct CellChanges {
  std::vector<PositionRange> removed;
  std::vector<PositionShift> shifts;
  std::optional<CellArrangement> arrangement;
};

/// One sequence as the engine knows it: what its cells hold, what its policy remembers, how its
/// positions run. Decides when tokens go and says what to do to the cells; touches none.
/// A value: a fork's record is a copy.
class SequenceRecord {
 public:
  /// `n_slack`: tokens by which the cache may outgrow its budget where evictions are dear.
  /// `n_context_trained`: tokens, 0 where the model does not say. `n_layers`: of the model.
  /// `keeps_slots`: cells stay in the order of their slots, as recorded attention needs.
  SequenceRecord(PositionMode positions, std::int64_t n_slack, std::int64_t n_context_trained,
                 std::int64_t n_layers, bool keeps_slots = false)
      : positions_(positions),
        n_slack_(n_slack),
        n_context_trained_(n_context_trained),
        n_layers_(n_layers),
        keeps_slots_(keeps_slots) {}

  /// The record of `layer`. All have seen and hold equally many tokens; where the cache has not been
  /// evicted by a plan for each layer, all are the same.
  [[nodiscard]] const CacheMap& map(std::size_t layer = 0) const {
    return layers_ ? layers_->layer(layer) : map_;
  }
  [[nodiscard]] const std::optional<LayeredMap>& layers() const noexcept { return layers_; }
  [[nodiscard]] KeepPlan held() const { return layers_ ? layers_->held() : KeepPlan(map_.held()); }
  [[nodiscard]] std::int64_t n_held_peak() const noexcept { return n_held_peak_; }
  [[nodiscard]] std::int64_t n_evictions() const noexcept { return n_evictions_; }
  [[nodiscard]] std::int64_t n_packs() const noexcept { return n_packs_; }
  [[nodiscard]] const std::string& policy_name() const noexcept { return policy_name_; }
  [[nodiscard]] const PolicyState& policy_state() const noexcept { return policy_state_; }

  /// The memory of `policy`: that of another policy is forgotten.
  [[nodiscard]] PolicyState& state_of(const Policy& policy);

  /// The same, streaming from now on unless a one-shot eviction has frozen the middle.
  [[nodiscard]] PolicyState& stream_of(const Policy& policy);

  /// `decode_slack` of this sequence.
  [[nodiscard]] std::int64_t slack(const Policy& policy) const noexcept {
    return decode_slack(policy, positions_, n_slack_);
  }

  /// Whether `n_upcoming` more tokens would pass the budget of `policy` and the slack.
  [[nodiscard]] bool outgrows(const Policy& policy, std::int64_t n_upcoming);

  /// Whether `retain(keep)` arranges all rows anew instead of removing cells.
  [[nodiscard]] bool is_arranged_by(const KeepPlan& keep) const noexcept {
    return layers_ || keeps_slots_ || !keep.is_shared();
  }

  /// Whether `retain(keep)` removes tokens / and moves positions.
  [[nodiscard]] bool drops_tokens(const KeepPlan& keep) const;
  [[nodiscard]] bool shifts_when_dropping() const noexcept { return positions_ == PositionMode::kPacked; }

  /// Removes what `keep` lacks and, in packed mode, closes the gaps. Keeps the newest token where
  /// llama.cpp needs it: it takes the next one only right behind the newest position.
  /// A plan for each layer, or any plan after one: as `LayeredMap::retain`.
  [[nodiscard]] CellChanges retain(const KeepPlan& keep);

  /// Whether automatic positions must be packed before `n_upcoming` tokens are decoded.
  [[nodiscard]] bool must_pack(std::int64_t n_upcoming) const noexcept;
  [[nodiscard]] CellChanges pack();

  /// `CacheMap::trim`, `LayeredMap::trim`.
  [[nodiscard]] CellChanges trim(std::int64_t n_tokens);

  void written(std::int64_t n_tokens);

  /// Forgets tokens, plans and counts.
  void clear();

  /// Takes over what was saved.
  void restore(CacheMap map, std::optional<LayeredMap> layers, std::string policy_name,
               PolicyState policy_state);

 private:
  [[nodiscard]] KeepSet with_predecessor(const KeepSet& keep) const;

  PositionMode positions_;
  std::int64_t n_slack_;
  std::int64_t n_context_trained_;
  std::int64_t n_layers_;
  bool keeps_slots_;
  CacheMap map_;                      // while all layers hold the same
  std::optional<LayeredMap> layers_;  // from the first plan for each layer on
  std::string policy_name_;           // whose memory policy_state_ is
  PolicyState policy_state_;
  std::int64_t n_held_peak_ = 0;
  std::int64_t n_evictions_ = 0;
  std::int64_t n_packs_ = 0;
};

}  // namespace kvevict
