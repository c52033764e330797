#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/cache_map.h"
#include "kvevict/keep_plan.h"

namespace kvevict {

/// Where the rows of a layer come from when the cells of a sequence are arranged anew.
struct LayerRows {
  std::vector<std::int32_t> source_slots;  ///< Slot k gets the rows of the old slot `source_slots[k]`.
  std::vector<std::int32_t> rotations;     ///< Positions by which its key rotates; empty: no key rotates.
  friend bool operator==(const LayerRows&, const LayerRows&) = default;
};

/// The cells of a sequence arranged anew. A slot is a cell by its place in ascending order of
/// positions; llama.cpp gives a cell one position for all layers.
struct CellArrangement {
  std::vector<std::int64_t> positions;  ///< Of slot k, afterwards; ascending.
  std::vector<LayerRows> rows;          ///< Those that differ.
  std::vector<std::size_t> rows_of_layer;
};

/// Whether any key rotates.
[[nodiscard]] bool rotates_keys(const CellArrangement& arrangement);

/// Adds the rotations of keys that were shifted but not yet rotated: `positions` are those of the old slots
/// before `waiting`, which llama.cpp would carry out one after the other.
void add_waiting_rotations(CellArrangement& arrangement, std::span<const std::int64_t> positions,
                           std::span<const PositionShift> waiting);

/// The record of a sequence whose layers hold different tokens, equally many in each. A slot holds another
/// token in each layer, with its key rotated to the position that the layer's record gives it. llama.cpp
/// knows one position of a slot: the largest of these. It ascends with the slots, so that every later token
/// sees every slot. Decides nothing, touches no cell. A value.
class LayeredMap {
 public:
  /// `n_layers` layers that all hold what `shared` does.
  LayeredMap(CacheMap shared, std::size_t n_layers) : maps_{std::move(shared)}, map_of_layer_(n_layers, 0) {}

  /// A record that was saved. Throws `Error(kBadData)` if the numbers contradict each other.
  LayeredMap(std::vector<CacheMap> maps, std::vector<std::size_t> map_of_layer);

  void prepare_append();
  void append(std::int64_t n_tokens);

  /// Whether `retain(plan)` removes tokens. Throws `Error(kInvalidArgument)` for a plan for another number of
  /// layers; so does `retain`.
  [[nodiscard]] bool drops_tokens(const KeepPlan& plan) const;

  /// Removes in each layer what `plan` lacks; `pack`: the slots then get the positions 0 … n − 1.
  /// Throws `Error(kInvalidArgument)` if the layers would not hold equally many tokens, or would
  /// lose the newest while positions stay: llama.cpp takes the next token only right behind it.
  [[nodiscard]] CellArrangement retain(const KeepPlan& plan, bool pack);

  /// Forgets the tokens from index `n_tokens` on. Returns the positions to remove. Errors: as
  /// `CacheMap::trim`, and if the layers would not hold equally many tokens.
  [[nodiscard]] std::vector<PositionRange> trim(std::int64_t n_tokens);

  [[nodiscard]] const CacheMap& layer(std::size_t index) const { return maps_[map_of_layer_[index]]; }
  [[nodiscard]] const std::vector<CacheMap>& distinct_maps() const noexcept { return maps_; }
  [[nodiscard]] const std::vector<std::size_t>& map_of_layer() const noexcept { return map_of_layer_; }
  [[nodiscard]] KeepPlan held() const;

 private:
  [[nodiscard]] std::vector<std::int64_t> slot_positions() const;

  std::vector<CacheMap> maps_;  // those that differ
  std::vector<std::size_t> map_of_layer_;
};

}  // namespace kvevict
