#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache_map.h"
#include "engine/layered_map.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/policy.h"

namespace kvevict {

/// What is to be done to the cells of a sequence: first the removals, then the shifts. If layers differ, all
/// rows are arranged anew instead.
struct CellChanges {
  std::vector<PositionRange> removed{};
  std::vector<PositionShift> shifts{};
  std::optional<CellArrangement> arrangement{};
};

/// One sequence as the engine knows it: what its cells hold, what its policy remembers, how its
/// positions run. Decides when tokens go and says what to do to the cells; touches none.
/// A value: a fork's record is a copy.
class SequenceRecord {
 public:
  /// What does not change while the sequence lives.
  struct Setting {
    PositionMode positions = PositionMode::kAbsolute;
    std::int64_t n_slack = 0;  ///< Tokens by which the cache may outgrow its budget if evictions cost more.
    std::int64_t n_context_trained = 0;  ///< Tokens; 0 if the model does not say.
    std::int64_t n_layers = 0;           ///< Of the model.
    bool keeps_slots = false;    ///< Cells stay in the order of their slots, as recorded attention needs.
    bool moves_by_rows = false;  ///< llama.cpp cannot shift the positions: packing arranges the rows anew.
    bool keeps_newest = false;   ///< The newest token never goes: a fixed state belongs to it.
    bool has_distances =
        false;  ///< Attention goes by the distance of cells: one token in all layers of a cell.
  };

  SequenceRecord(std::shared_ptr<const Policy> policy, const Setting& setting)
      : policy_(std::move(policy)), setting_(setting) {
    state_ = fresh_state();
  }

  /// The record of `layer`. All have seen equally many tokens and hold equally many. They are all the same
  /// until a plan for each layer has evicted the cache.
  [[nodiscard]] const CacheMap& map(std::size_t layer = 0) const {
    return layers_ ? layers_->layer(layer) : map_;
  }
  [[nodiscard]] const std::optional<LayeredMap>& layers() const noexcept { return layers_; }
  [[nodiscard]] KeepPlan held() const { return layers_ ? layers_->held() : KeepPlan(map_.held()); }
  [[nodiscard]] std::int64_t n_held_peak() const noexcept { return n_held_peak_; }
  [[nodiscard]] std::int64_t n_evictions() const noexcept { return n_evictions_; }
  [[nodiscard]] std::int64_t n_packs() const noexcept { return n_packs_; }
  [[nodiscard]] const Policy& policy() const noexcept { return *policy_; }
  [[nodiscard]] const std::shared_ptr<const Policy>& shared_policy() const noexcept { return policy_; }

  /// What the policy remembers of this sequence.
  [[nodiscard]] PolicyState& state() noexcept { return state_; }
  [[nodiscard]] const PolicyState& state() const noexcept { return state_; }

  /// The state as it would be after `begin_stream`.
  [[nodiscard]] PolicyState streaming_state() const;

  /// The policy streams from now on, unless a one-shot eviction has chosen tokens for good.
  void begin_stream();

  /// Another policy decides from now on, in its own positions; nothing is remembered of the one before.
  void rebind(std::shared_ptr<const Policy> policy, PositionMode positions);

  /// `decode_slack` of this sequence.
  [[nodiscard]] std::int64_t slack() const noexcept {
    return decode_slack(*policy_, setting_.positions, setting_.n_slack);
  }

  /// Whether `n_upcoming` more tokens would pass the policy's budget and the slack.
  [[nodiscard]] bool outgrows(std::int64_t n_upcoming) const;

  /// Whether `retain(keep)` arranges all rows anew instead of removing cells.
  [[nodiscard]] bool is_arranged_by(const KeepPlan& keep) const noexcept {
    return holds_layers_apart() || !keep.is_shared() || (shifts_when_dropping() && setting_.moves_by_rows);
  }

  /// Whether `retain(keep)` removes tokens / and moves positions.
  [[nodiscard]] bool drops_tokens(const KeepPlan& keep) const;
  [[nodiscard]] bool shifts_when_dropping() const noexcept {
    return setting_.positions == PositionMode::kPacked;
  }

  /// Removes what `keep` lacks and, in packed mode, closes the gaps. Keeps the newest token while llama.cpp
  /// needs it: it takes the next one only right behind the newest position.
  /// A plan for each layer, or any plan after one: as `LayeredMap::retain`.
  [[nodiscard]] CellChanges retain(const KeepPlan& keep);

  /// Whether automatic positions must be packed before `n_upcoming` tokens are decoded.
  [[nodiscard]] bool must_pack(std::int64_t n_upcoming) const noexcept;
  [[nodiscard]] CellChanges pack();

  /// `CacheMap::trim`, `LayeredMap::trim`.
  [[nodiscard]] CellChanges trim(std::int64_t n_tokens);

  /// Makes room in the record for tokens that are decoded next, so that `written` cannot fail.
  void prepare_written();
  void written(std::int64_t n_tokens);

  /// Forgets tokens, plans and counts.
  void clear();

  /// Takes over what was saved.
  void restore(CacheMap map, std::optional<LayeredMap> layers, PolicyState state);

 private:
  [[nodiscard]] PolicyState fresh_state() const;
  [[nodiscard]] bool layers_may_differ() const noexcept {
    return !setting_.has_distances || setting_.positions == PositionMode::kPacked;
  }
  [[nodiscard]] KeepSet with_predecessor(const KeepSet& keep) const;
  [[nodiscard]] bool holds_layers_apart() const noexcept { return layers_ || setting_.keeps_slots; }
  [[nodiscard]] CellArrangement arrange(const KeepPlan& keep, bool pack);

  std::shared_ptr<const Policy> policy_;
  Setting setting_;
  PolicyState state_;
  CacheMap map_;                      // while all layers hold the same
  std::optional<LayeredMap> layers_;  // from the first plan for each layer on
  std::int64_t n_held_peak_ = 0;
  std::int64_t n_evictions_ = 0;
  std::int64_t n_packs_ = 0;
};

}  // namespace kvevict
